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
import { ChatError } from './link.js';
import { Room } from './room.js';
export { ChatError, Room };
export type Message = import('./list.js').Message;
export type Reaction = import('./list.js').Reaction;
export type User = import('./list.js').User;
export type Status = import('./link.js').Status;
export type Env = import('./link.js').Env;
/**
 * Connects at once and keeps connecting until close().
 * @param {{url?: string | URL} & Env} [options] url is the hub's `ws`; default: beside the
 *   directory this module came from, so that `<mount>/ui/client.js` finds `<mount>/ws`
 * @returns {Chat}
 */
export declare function connect({ url, ...env }?: {
    url?: string | URL;
} & Env): Chat;
/** Events: `status` when status, retryAt or reason changed; `user` when the user is known or another. */
export declare class Chat extends EventTarget {
    #private;
    /** Who the server says we are; null before the first hello. @type {User | null} */
    user: User | null;
    limits: {
        frame_bytes: number;
        text_bytes: number;
        text_runes: number;
        history: number;
        rooms: number;
    };
    env: Required<import("./link.js").Env>;
    url: string;
    /** Use connect(). @param {string} url @param {Required<Env>} env */
    constructor(url: string, env: Required<Env>);
    /** @type {Status} */
    get status(): Status;
    /** When waiting: the time of the next attempt in Unix milliseconds, 0 when it waits for the page to be shown. */
    get retryAt(): number;
    /** Why it is waiting or closed: `lost`, `offline`, `timeout`, `hidden`, or the word the server closed with. */
    get reason(): string;
    /** The room of that name, joined and kept joined until its leave(). The same object each time. @param {string} name */
    room(name: string): Room;
    /** Tries to connect now, when waiting. */
    retry(): void;
    /** Leaves all rooms and ends the connection. Messages not acknowledged stay in the outbox. Safe to call twice. */
    close(): void;
    /** For Room. @param {Record<string, any>} frame @param {(r: any) => void} [use] */
    request(frame: Record<string, any>, use?: (r: any) => void): Promise<any>;
    /** For Room. @param {Room} room */
    forget(room: Room): void;
}
