// The real example as a child process, and real browser windows on it.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { chromium } from 'playwright-core';

export const repo = new URL('../../..', import.meta.url).pathname;
const ARGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The built example with its SQLite file, which outlives a kill. */
class Example {
  constructor(dir, binary, port) {
    Object.assign(this, { dir, binary, port, url: `http://127.0.0.1:${port}` });
  }

  async start() {
    const began = performance.now();
    this.child = spawn(this.binary, ['-addr', `127.0.0.1:${this.port}`, '-db', join(this.dir, 'chat.db')], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    for await (const chunk of this.child.stderr.iterator({ destroyOnReturn: false })) {
      log += chunk;
      if (log.includes('http://')) {
        this.child.stderr.resume();
        return performance.now() - began;
      }
    }
    throw new Error(`the example ended: ${log}`);
  }

  async kill(signal = 'SIGKILL') {
    if (!this.child || this.child.exitCode !== null || this.child.signalCode) return;
    const gone = once(this.child, 'exit');
    this.child.kill(signal);
    await gone;
  }

  /** Sends over HTTP, in order; each user may write 20 at once. */
  async post(room, texts, user = 'seed') {
    const seqs = [];
    for (const [i, text] of texts.entries()) {
      const name = `${user}${Math.floor(i / 20)}`;
      const res = await fetch(`${this.url}/${name}/rooms/${room}/messages`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key: `${room}-${i}`, text }),
      });
      if (!res.ok) throw new Error(`${res.status} ${await res.text()}`);
      seqs.push((await res.json()).seq);
    }
    return seqs;
  }

  /** What the server keeps, oldest first. */
  async history(room) {
    const res = await fetch(`${this.url}/reader/rooms/${room}/messages?limit=100`);
    return (await res.json()).messages;
  }
}

/** One example and one browser for a test file, ended after it. */
/** @param {{dir?: string}} [options] the example's directory */
export async function setup({ dir: source = 'examples/minimal' } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'chatroom-'));
  const binary = join(dir, 'example');
  execFileSync('go', ['build', '-o', binary, '.'], { cwd: join(repo, source), stdio: 'inherit' });
  const example = new Example(dir, binary, await freePort());
  await example.start();
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: ARGS });
  after(async () => {
    await browser.close();
    await example.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  return { example, browser, person: (name, options) => person(browser, example.url, name, options) };
}

/** A window of somebody in a room. */
async function person(browser, base, name, { room = 'lobby', query = '', context, ready = true, ...options } = {}) {
  const ctx = context ?? (await browser.newContext({ viewport: { width: 1000, height: 720 }, reducedMotion: 'reduce', locale: 'en-GB', ...options }));
  const page = await ctx.newPage();
  page.setDefaultTimeout(15_000);
  page.errors = [];
  page.heard = [];
  page.on('websocket', (ws) => ws.on('framereceived', (f) => page.heard.push(String(f.payload))));
  page.on('pageerror', (e) => page.errors.push(e.message));
  await page.goto(`${base}/${encodeURIComponent(name)}/?room=${encodeURIComponent(room)}${query}`);
  if (ready) await open(page);
  return page;
}

/** Until the room is joined and shown. */
export const open = (page) => page.waitForFunction(() => {
  const el = document.querySelector('chat-room');
  return el?.chat?.status === 'open' && el.chat.room(el.room).state === 'joined' && !el.shadowRoot.querySelector('.ghosts');
});

export const input = (page) => page.locator('chat-room textarea');

export async function say(page, text) {
  await input(page).fill(text);
  await input(page).press('Enter');
}

/** A message by its text. */
export const row = (page, text) => page.locator('chat-room .row', { hasText: text });

export const sees = (page, text) => row(page, text).first().waitFor();

/** The texts of the rows, in order. */
export const rowTexts = (page) => page.locator('chat-room .row .text').allInnerTexts();

/** Runs f with the element's shadow root; f may use nothing from outside. */
export const inside = (page, f, arg) => page.evaluate(`(${f})(document.querySelector('chat-room').shadowRoot, ${JSON.stringify(arg)})`);

/** Waits until f, run as by inside, gives something true. */
export const until = (page, f, arg, ms) => eventually(() => inside(page, f, arg), ms);

/** Waits until f gives something true. */
export async function eventually(f, ms = 15_000) {
  for (const end = performance.now() + ms; !(await f()); ) {
    if (performance.now() > end) throw new Error(`it never became true: ${f}`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

/** Opens the actions of a message and presses one. */
export async function act(page, text, action) {
  await row(page, text).last().hover();
  await page.locator('chat-room .actions').getByRole('button', { name: action }).click();
}
