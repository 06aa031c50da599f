/** The plain page at the mount's root: one room, named by `?room=`, in the browser's language or `?lang=`. */
export {};
