/**
 * Own messages that are not acknowledged, kept in localStorage so that a reload
 * does not lose them. One storage item per message: two tabs never overwrite
 * each other, and each hears of the other's through the `storage` event.
 */
export type Pending = import('./list.js').Pending;
/** @typedef {import('./list.js').Pending} Pending */
/** At most this many wait per user and room. */
export declare const MAX_WAITING = 100;
/** An older one is not sent on its own any more: its writer decides. */
export declare const MAX_AGE_MS: number;
export declare class Outbox {
    #private;
    /**
     * @param {Storage | null} storage null keeps nothing
     * @param {string} base tells hubs of one origin apart
     * @param {string} user @param {string} room
     */
    constructor(storage: Storage | null, base: string, user: string, room: string);
    /** What is kept, in the order it was written. @returns {Pending[]} */
    load(): Pending[];
    /** Full or forbidden storage costs the memory of this message, not the message. @param {Pending} p */
    put(p: Pending): void;
    /** @param {string} key */
    remove(key: string): void;
    /**
     * What another tab did, or null when the event is about something else.
     * @param {any} event a StorageEvent @returns {{key: string, pending: Pending | null} | null}
     */
    change(event: any): {
        key: string;
        pending: Pending | null;
    } | null;
}
