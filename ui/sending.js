/**
 * Sending: what is written is shown at once, kept in the outbox until the server
 * has it, and sent one message after the other, with the same key until it is
 * answered (PROTOCOL.md §4, send). Never a double, never out of order.
 */

import { ChatError } from './link.js';
import { MAX_AGE_MS, MAX_WAITING, Outbox } from './outbox.js';

/** @typedef {import('./list.js').Pending} Pending */
/**
 * What it needs of its room.
 * @typedef {object} SendingRoom
 * @property {import('./list.js').MessageList} list
 * @property {Required<import('./link.js').Env>} env
 * @property {() => boolean} joined
 * @property {() => void} join asks for a join that seems to be missing
 * @property {(frame: Record<string, any>, use: (r: any) => void) => Promise<any>} ask
 * @property {(ms: number, f: () => void) => void} later
 * @property {() => void} changed
 */

/** When the server does not say how long to wait. */
export const RETRY_MS = 2000;
/** Refusals that pass: the message stays pending and is sent again. */
export const PASSING = new Set(['rate_limited', 'overloaded', 'store_unavailable', 'shutting_down', 'not_joined']);

export class Sending {
  #room;
  /** @type {Outbox | null} */
  #outbox = null;
  #pumping = false;
  /** The server asked for a pause. */
  #paused = false;
  /** Put into storage by another tab, which is sending it: ours only after the next join. @type {Set<string>} */
  #foreign = new Set();
  /** @type {Map<string, {promise: Promise<number>, resolve: (seq: number) => void, reject: (e: Error) => void}>} */
  #promises = new Map();

  /** @param {SendingRoom} room */
  constructor(room) {
    this.#room = room;
  }

  /** False until the user is known and what they left unsent is loaded. */
  get loaded() {
    return !!this.#outbox;
  }

  /** @param {string} text @param {any} data @param {number} [replyTo] @returns {Promise<number>} */
  send(text, data, replyTo) {
    const { list, env } = this.#room;
    if (list.allPending.length >= MAX_WAITING) {
      return Promise.reject(new ChatError('outbox_full', `more than ${MAX_WAITING} messages are waiting`));
    }
    /** @type {Pending} */
    const p = { key: newKey(env.random), text, at: env.now() };
    if (data !== undefined) p.data = data;
    if (replyTo) p.replyTo = replyTo;
    return this.#submit(p);
  }

  /** @param {string} key @returns {Promise<number>} */
  retry(key) {
    const p = this.#room.list.pending(key);
    if (!p) return Promise.reject(new ChatError('not_found', 'no such pending message'));
    if (p.error?.code !== 'key_conflict') return this.#submit({ ...p, at: this.#room.env.now(), error: null });
    this.discard(key);
    return this.send(p.text, p.data, p.replyTo);
  }

  /** @param {string} key */
  discard(key) {
    this.#room.list.dropPending(key);
    this.#outbox?.remove(key);
    this.#settle(key, new ChatError('discarded'));
    this.#room.changed();
  }

  /** Everybody who waits for an answer is told that there will be none. What is kept stays kept. @param {string} why */
  abandon(why) {
    for (const key of [...this.#promises.keys()]) this.#settle(key, new ChatError('closed', why));
  }

  /** Takes over what a user left unsent, and what was written before they were known. @param {Outbox} outbox */
  open(outbox) {
    const { list, env } = this.#room;
    const early = this.#outbox ? [] : list.allPending;
    this.#outbox = outbox;
    const expired = env.now() - MAX_AGE_MS;
    for (const p of outbox.load()) {
      const error = p.error ?? (p.at < expired ? { code: 'expired', message: 'not sent in time' } : null);
      list.putPending({ ...p, tried: true, error });
    }
    // What was written before the first hello goes after what is older.
    for (const p of early) {
      list.dropPending(p.key);
      this.#put(p);
    }
    this.#room.changed();
  }

  /** The room is joined: what waits is sent, what other tabs left as well. */
  joined() {
    this.#foreign.clear();
    this.#pump();
  }

  /** Another tab changed the outbox. @param {any} event a StorageEvent */
  onStorage(event) {
    const { list } = this.#room;
    const change = this.#outbox?.change(event);
    if (!change) return;
    if (change.pending) {
      if (!list.pending(change.key)) this.#foreign.add(change.key);
      list.putPending(change.pending);
    } else if (!this.#promises.has(change.key)) {
      // With a promise of ours open we ask the server ourselves: it answers with the seq.
      list.dropPending(change.key);
      this.#foreign.delete(change.key);
    }
    this.#room.changed();
  }

  /** @param {Pending} p @returns {Promise<number>} */
  #submit(p) {
    this.#put(p);
    const promise = this.#promise(p.key);
    this.#pump();
    return promise;
  }

  /** Order is worth more than the round trip. */
  async #pump() {
    if (this.#pumping || this.#paused) return;
    this.#pumping = true;
    try {
      for (let p; this.#room.joined() && (p = this.#next()); ) if (!(await this.#sendOne(p))) break;
    } finally {
      this.#pumping = false;
    }
  }

  #next() {
    return this.#room.list.allPending.find((p) => !p.error && !this.#foreign.has(p.key));
  }

  /** Reports whether the next one may be sent. @param {Pending} p */
  async #sendOne(p) {
    const { key, text, data, replyTo, tried } = p;
    // Written down before it goes, so that a reload knows that it may have gone.
    p.tried = true;
    this.#outbox?.put(p);
    try {
      await this.#room.ask({ op: 'send', key, text, data, reply_to: replyTo || undefined, retry: tried }, (r) => {
        this.#room.list.confirm(key, r.seq);
        this.#outbox?.remove(key);
        this.#room.changed();
        this.#settle(key, null, r.seq);
      });
      return true;
    } catch (err) {
      return this.#refused(p, /** @type {ChatError} */ (err));
    }
  }

  /** @param {Pending} p @param {ChatError} e */
  #refused(p, e) {
    if (e.code === 'disconnected') return false;
    if (e.code === 'not_joined') this.#room.join();
    if (PASSING.has(e.code)) {
      this.#paused = true;
      this.#room.later(e.retryAfterMs ?? RETRY_MS, () => {
        this.#paused = false;
        this.#pump();
      });
      return false;
    }
    const error = { code: e.code, message: e.message, retryAfterMs: e.retryAfterMs };
    if (this.#room.list.pending(p.key)) this.#put({ ...p, error });
    this.#settle(p.key, e);
    return true;
  }

  /** @param {Pending} p */
  #put(p) {
    this.#room.list.putPending(p);
    this.#outbox?.put(p);
    this.#room.changed();
  }

  /** @param {string} key @returns {Promise<number>} */
  #promise(key) {
    const known = this.#promises.get(key);
    if (known) return known.promise;
    /** @type {any} */
    const d = {};
    d.promise = new Promise((resolve, reject) => Object.assign(d, { resolve, reject }));
    this.#promises.set(key, d);
    return d.promise;
  }

  /** @param {string} key @param {ChatError | null} error @param {number} [seq] */
  #settle(key, error, seq = 0) {
    const d = this.#promises.get(key);
    this.#promises.delete(key);
    if (error) d?.reject(error);
    else d?.resolve(seq);
  }
}

/** 20 letters: 100 bits when random has that many. @param {() => number} random */
function newKey(random) {
  let key = '';
  while (key.length < 20) key += Math.floor(random() * 32).toString(32);
  return key;
}
