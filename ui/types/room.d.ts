/**
 * A room as its user sees it: one ordered list of messages, who is here, what is
 * unread; and the verbs. It heals itself: after a lost connection or a hole in
 * the events it asks for what it missed (PROTOCOL.md §3).
 */
import { ChatError } from './link.js';
export type Message = import('./list.js').Message;
export type User = import('./list.js').User;
export type Host = {
    request: (frame: Record<string, any>, use?: (r: any) => void) => Promise<any>;
    env: Required<import('./link.js').Env>;
    url: string;
    user: User | null;
    limits: {
        text_bytes: number;
        text_runes: number;
    };
    status: import('./link.js').Status;
    forget: (room: Room) => void;
};
/**
 * Events: `change` (messages, their states, what is loaded), `people` (members,
 * count, typists), `read` (readSeq, unread), `state`, and `message` for each
 * numbered message as it arrives live, with the Message in `event.message`.
 * `change`, `people` and `read` come at most once per microtask.
 */
export declare class Room extends EventTarget {
    #private;
    name: string;
    /**
     * idle: no connection yet. joining, joined: as they say. refused: the server
     * does not let this user in (see error). removed: the right was taken away. left: by leave().
     * @type {'idle' | 'joining' | 'joined' | 'refused' | 'removed' | 'left'}
     */
    state: 'idle' | 'joining' | 'joined' | 'refused' | 'removed' | 'left';
    /** Why the room is refused. @type {ChatError | null} */
    error: ChatError | null;
    /** True once a page has been shown: an empty list then means an empty room. */
    loaded: boolean;
    /** The user's read mark, a seq; -1 when the server keeps none. */
    readSeq: number;
    /** Messages by others after the mark; the server stops counting at 1000. */
    unread: number;
    /** Use `chat.room(name)`. @param {Host} host @param {string} name */
    constructor(host: Host, name: string);
    /** Oldest first: what is loaded around the place looked at, pending and failed ones last. @type {Message[]} */
    get messages(): Message[];
    /** Older messages exist than the first of `messages`. */
    get hasOlder(): boolean;
    /** `messages` ends before the live end: see loadAround. */
    get hasNewer(): boolean;
    /** Who is here, or null in rooms too big for a list. @type {User[] | null} */
    get members(): User[] | null;
    get memberCount(): number;
    /** Others who are typing now. @type {User[]} */
    get typists(): User[];
    /** A loaded message by its seq. @param {number} seq */
    message(seq: number): import("./list.js").Message | undefined;
    /**
     * Shows the message as pending at once and resolves with its seq when the server
     * has it. While there is no connection it waits. Rejects with a ChatError when
     * the server refuses; the message then stays as `failed` for retry or discard.
     * @param {string} text
     * @param {{data?: any, replyTo?: number}} [more] replyTo is the seq of the message answered
     * @returns {Promise<number>}
     */
    send(text: string, { data, replyTo }?: {
        data?: any;
        replyTo?: number;
    }): Promise<number>;
    /** Sends a failed message again. @param {string} key @returns {Promise<number>} */
    retry(key: string): Promise<number>;
    /** Gives a pending or failed message up. @param {string} key */
    discard(key: string): void;
    /** Changes the text of an own message; rejects with `conflict` when it changed meanwhile. @param {number} seq @param {string} text */
    edit(seq: number, text: string): Promise<void>;
    /** @param {number} seq */
    delete(seq: number): Promise<void>;
    /** Puts the user's reaction on a message, or takes it off. @param {number} seq @param {string} emoji @param {boolean} on */
    react(seq: number, emoji: string, on: boolean): Promise<void>;
    /** Loads the page before the first of `messages`. Concurrent calls share one request. */
    loadOlder(): Promise<void>;
    /** Loads the page after the last of `messages`, when hasNewer. */
    loadNewer(): Promise<void>;
    /**
     * Moves `messages` to the surroundings of a seq, wherever it is in the history.
     * @param {number} seq
     */
    loadAround(seq: number): Promise<void>;
    /** Moves `messages` back to the live end. */
    showLatest(): void;
    /** Forgets the oldest loaded messages but `keep`; they can be loaded again. @param {number} keep */
    trim(keep: number): void;
    /** Moves the read mark to a message, the newest one by default. Never back. */
    markRead(seq?: number): void;
    /** Tells the others that the user is typing; call it at every key. */
    typing(): void;
    /** Leaves for good; `chat.room(name)` then makes a new Room. What is pending stays in the outbox. */
    leave(): void;
    /** The connection said hello. Called by Chat. @param {User} user */
    onHello(user: User): void;
    /** The connection is gone. Called by Chat. */
    onDown(): void;
    /** An event of this room. Called by Chat. @param {any} e */
    onEvent(e: any): void;
    /** Another tab changed the outbox. Called by Chat. @param {any} event a StorageEvent */
    onStorage(event: any): void;
}
