//go:build darwin

package faults_test

func runControl() {} // the power-cut tests need Linux
