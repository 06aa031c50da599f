/**
 * Sending: what is written is shown at once, kept in the outbox until the server
 * has it, and sent one message after the other, with the same key until it is
 * answered (PROTOCOL.md §4, send). Never a double, never out of order.
 */
import { Outbox } from './outbox.js';
export type Pending = import('./list.js').Pending;
export type SendingRoom = {
    list: import('./list.js').MessageList;
    env: Required<import('./link.js').Env>;
    joined: () => boolean;
    /**
     * asks for a join that seems to be missing
     */
    join: () => void;
    ask: (frame: Record<string, any>, use: (r: any) => void) => Promise<any>;
    later: (ms: number, f: () => void) => void;
    changed: () => void;
};
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
export declare const RETRY_MS = 2000;
/** Refusals that pass: the message stays pending and is sent again. */
export declare const PASSING: Set<string>;
export declare class Sending {
    #private;
    /** @param {SendingRoom} room */
    constructor(room: SendingRoom);
    /** False until the user is known and what they left unsent is loaded. */
    get loaded(): boolean;
    /** @param {string} text @param {any} data @param {number} [replyTo] @returns {Promise<number>} */
    send(text: string, data: any, replyTo?: number): Promise<number>;
    /** @param {string} key @returns {Promise<number>} */
    retry(key: string): Promise<number>;
    /** @param {string} key */
    discard(key: string): void;
    /** Everybody who waits for an answer is told that there will be none. What is kept stays kept. @param {string} why */
    abandon(why: string): void;
    /** Takes over what a user left unsent, and what was written before they were known. @param {Outbox} outbox */
    open(outbox: Outbox): void;
    /** The room is joined: what waits is sent, what other tabs left as well. */
    joined(): void;
    /** Another tab changed the outbox. @param {any} event a StorageEvent */
    onStorage(event: any): void;
}
