/**
 * The protocol client: many rooms over one connection that comes back by itself.
 *
 *     import { connect } from '/chat/ui/client.js';
 *     const chat = connect();
 *     const room = chat.room('lobby');
 *     room.addEventListener('change', () => render(room.messages));
 *     await room.send('hello');
 *
 * PROTOCOL.md is what it speaks.
 */

import { ChatError, Link } from './link.js';
import { Room } from './room.js';

export { ChatError, Room };
/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./list.js').Reaction} Reaction */
/** @typedef {import('./list.js').User} User */
/** @typedef {import('./link.js').Status} Status */
/** @typedef {import('./link.js').Env} Env */

/** Until hello tells (PROTOCOL.md §4). */
const LIMITS = { frame_bytes: 16384, text_bytes: 8192, text_runes: 4000, history: 100, rooms: 100 };

/**
 * Connects at once and keeps connecting until close().
 * @param {{url?: string | URL} & Env} [options] url is the hub's `ws`; default: beside the
 *   directory this module came from, so that `<mount>/ui/client.js` finds `<mount>/ws`
 * @returns {Chat}
 */
export function connect({ url, ...env } = {}) {
  const at = new URL(url ?? '../ws', url ? globalThis.location?.href : import.meta.url);
  at.protocol = at.protocol.replace('http', 'ws');
  return new Chat(at.href, { ...browserEnv(), ...env });
}

/** Events: `status` when status, retryAt or reason changed; `user` when the user is known or another. */
export class Chat extends EventTarget {
  /** Who the server says we are; null before the first hello. @type {User | null} */
  user = null;
  limits = LIMITS;
  env;
  url;
  #link;
  /** @type {Map<string, Room>} */
  #rooms = new Map();
  #onStorage = (/** @type {any} */ e) => {
    for (const room of this.#rooms.values()) room.onStorage(e);
  };

  /** Use connect(). @param {string} url @param {Required<Env>} env */
  constructor(url, env) {
    super();
    this.url = url;
    this.env = env;
    this.#link = new Link(url, env, {
      status: () => this.#statusChanged(),
      hello: (h) => this.#hello(h),
      event: (e) => this.#rooms.get(e.room)?.onEvent(e),
    });
    env.window?.addEventListener('storage', this.#onStorage);
  }

  /** @type {Status} */
  get status() {
    return this.#link?.status ?? 'connecting';
  }

  /** When waiting: the time of the next attempt in Unix milliseconds, 0 when it waits for the page to be shown. */
  get retryAt() {
    return this.#link?.retryAt ?? 0;
  }

  /** Why it is waiting or closed: `lost`, `offline`, `timeout`, `hidden`, or the word the server closed with. */
  get reason() {
    return this.#link?.reason ?? '';
  }

  /** The room of that name, joined and kept joined until its leave(). The same object each time. @param {string} name */
  room(name) {
    let room = this.#rooms.get(name);
    if (!room) {
      room = new Room(this, name);
      this.#rooms.set(name, room);
      if (this.user && this.status === 'open') room.onHello(this.user);
    }
    return room;
  }

  /** Tries to connect now, when waiting. */
  retry() {
    this.#link.retry();
  }

  /** Leaves all rooms and ends the connection. Messages not acknowledged stay in the outbox. Safe to call twice. */
  close() {
    for (const room of [...this.#rooms.values()]) room.leave();
    this.#link.close();
    this.env.window?.removeEventListener('storage', this.#onStorage);
  }

  /** For Room. @param {Record<string, any>} frame @param {(r: any) => void} [use] */
  request(frame, use) {
    return this.#link.request(frame, use);
  }

  /** For Room. @param {Room} room */
  forget(room) {
    if (this.#rooms.get(room.name) === room) this.#rooms.delete(room.name);
  }

  #statusChanged() {
    if (this.status !== 'open') for (const room of this.#rooms.values()) room.onDown();
    this.dispatchEvent(new Event('status'));
  }

  /** @param {any} h */
  #hello(h) {
    const another = this.user?.id !== h.user.id || this.user?.name !== h.user.name;
    this.user = h.user;
    this.limits = { ...LIMITS, ...h.limits };
    if (another) this.dispatchEvent(new Event('user'));
    for (const room of this.#rooms.values()) room.onHello(h.user);
  }
}

/** What a browser offers; in Node the tests bring their own. @returns {Required<Env>} */
function browserEnv() {
  const g = /** @type {any} */ (globalThis);
  return {
    WebSocket: g.WebSocket,
    now: () => Date.now(),
    setTimeout: (f, ms) => g.setTimeout(f, ms),
    clearTimeout: (t) => g.clearTimeout(t),
    random: () => crypto.getRandomValues(new Uint32Array(1))[0] / 2 ** 32,
    storage: localStorageOrNull(),
    window: g.document ? g : null,
    document: g.document ?? null,
  };
}

/** Reading the property throws where storage is forbidden. */
function localStorageOrNull() {
  try {
    return globalThis.localStorage ?? null;
  } catch {
    return null;
  }
}
