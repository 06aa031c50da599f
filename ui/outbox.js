/**
 * Own messages that are not acknowledged, kept in localStorage so that a reload
 * does not lose them. One storage item per message: two tabs never overwrite
 * each other, and each hears of the other's through the `storage` event.
 */

/** @typedef {import('./list.js').Pending} Pending */

/** At most this many wait per user and room. */
export const MAX_WAITING = 100;
/** An older one is not sent on its own any more: its writer decides. */
export const MAX_AGE_MS = 24 * 60 * 60 * 1000;

export class Outbox {
  #storage;
  #prefix;

  /**
   * @param {Storage | null} storage null keeps nothing
   * @param {string} base tells hubs of one origin apart
   * @param {string} user @param {string} room
   */
  constructor(storage, base, user, room) {
    this.#storage = storage;
    this.#prefix = ['chatroom', base, user, room].map(encodeURIComponent).join('/') + '/';
  }

  /** What is kept, in the order it was written. @returns {Pending[]} */
  load() {
    const found = [];
    for (let i = 0; i < (this.#storage?.length ?? 0); i++) {
      const name = /** @type {Storage} */ (this.#storage).key(i);
      const p = name?.startsWith(this.#prefix) && parse(this.#storage?.getItem(name));
      if (p) found.push(p);
    }
    return found.sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));
  }

  /** Full or forbidden storage costs the memory of this message, not the message. @param {Pending} p */
  put(p) {
    try {
      this.#storage?.setItem(this.#prefix + p.key, JSON.stringify(p));
    } catch {
      // it is still sent from this page
    }
  }

  /** @param {string} key */
  remove(key) {
    this.#storage?.removeItem(this.#prefix + key);
  }

  /**
   * What another tab did, or null when the event is about something else.
   * @param {any} event a StorageEvent @returns {{key: string, pending: Pending | null} | null}
   */
  change(event) {
    if (!event.key?.startsWith(this.#prefix)) return null;
    return { key: event.key.slice(this.#prefix.length), pending: parse(event.newValue) };
  }
}

/** @param {string | null | undefined} json @returns {Pending | null} */
function parse(json) {
  try {
    const p = JSON.parse(json ?? 'null');
    return p && typeof p.key === 'string' && typeof p.text === 'string' && typeof p.at === 'number' ? p : null;
  } catch {
    return null;
  }
}
