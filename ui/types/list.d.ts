/**
 * One room's messages as plain data: no socket, no clock, no DOM.
 *
 * The list is made of bases (a message as an event or a page showed it) and
 * changes (edits, deletions, reactions) kept beside them by seq. What a message
 * looks like is computed from both, so the order in which they came does not
 * matter: the same events give the same list in any order, twice or once.
 */
export type User = {
    id: string;
    name: string;
};
export type Reaction = {
    emoji: string;
    count: number;
    users: string[];
    mine: boolean;
};
export type Message = {
    /**
     * stable for as long as the message is shown, also from pending to sent
     */
    id: string;
    /**
     * its position; 0 while it is pending
     */
    seq: number;
    /**
     * the sender's key; '' when it has none
     */
    key: string;
    from: User;
    /**
     * '' once deleted
     */
    text: string;
    /**
     * what the sender attached; undefined when nothing
     */
    data: any;
    /**
     * the seq of the message it answers; 0 for none
     */
    replyTo: number;
    /**
     * Unix milliseconds
     */
    at: number;
    /**
     * the seq of its latest edit; 0 when never edited
     */
    edited: number;
    deleted: boolean;
    reactions: Reaction[];
    /**
     * sent by this user
     */
    mine: boolean;
    state: 'sent' | 'pending' | 'failed';
    /**
     * why it failed
     */
    error: {
        code: string;
        message: string;
        retryAfterMs?: number;
    } | null;
};
export type Pending = {
    key: string;
    text: string;
    data?: any;
    replyTo?: number;
    /**
     * Unix milliseconds of writing
     */
    at: number;
    /**
     * a frame with this key may have reached the server
     */
    tried?: boolean;
    /**
     * set when it failed
     */
    error?: {
        code: string;
        message: string;
        retryAfterMs?: number;
    } | null;
};
export type Entry = {
    seq: number;
    /**
     * null while only changes are known
     */
    base: any;
    /**
     * the base is what was sent, not what the server says
     */
    provisional: boolean;
    /**
     * ascending by seq
     */
    changes: any[];
    /**
     * superseded changes were dropped
     */
    cut: boolean;
    /**
     * null when it has to be computed again
     */
    view: Message | null;
    /**
     * the view before
     */
    last: Message | null;
};
export declare class MessageList {
    #private;
    /** @type {User} */
    me: User;
    /** Forgets everything but what is pending. */
    reset(): void;
    /** Takes in one numbered event (PROTOCOL.md §6). @param {any} event */
    apply(event: any): void;
    /**
     * Whether a retract of a seq that is no message here can be carried out with
     * what is known. Not so when a page may have shown the change: it does not
     * tell what was before. What is known of nothing older cannot matter.
     * @param {number} seq
     */
    canUndo(seq: number): boolean;
    /**
     * Takes in messages as a page shows them, and what the page says about its
     * surroundings: everything from `lo` to `hi` is known now. With `since`, a position the
     * page was built at or after, what the range had up to there and the page does not show is forgotten.
     * @param {any[]} messages oldest first
     * @param {{lo: number, hi: number, older?: boolean, newer?: boolean, since?: number}} range
     */
    page(messages: any[], { lo, hi, older, newer, since }: {
        lo: number;
        hi: number;
        older?: boolean;
        newer?: boolean;
        since?: number;
    }): void;
    /**
     * Takes in the newest page in place of what was known up to the position
     * `since`. Of what lies below it only the run around `at` stays, for those who look at
     * it, and may be out of date: returned is from where to where, to be loaded again.
     * @param {any[]} messages oldest first
     * @param {{lo: number, hi: number, older: boolean, since: number}} range
     * @param {number} at
     * @returns {{from: number, to: number} | null}
     */
    renew(messages: any[], range: {
        lo: number;
        hi: number;
        older: boolean;
        since: number;
    }, at: number): {
        from: number;
        to: number;
    } | null;
    /** Forgets every numbered event above `after` (PROTOCOL.md §4, join). @param {number} after */
    rewind(after: number): void;
    /** Drops the oldest until at most `keep` are left of the live end. @param {number} keep */
    trim(keep: number): void;
    /** Adds or replaces a pending message. @param {Pending} p */
    putPending(p: Pending): void;
    /** @param {string} key */
    dropPending(key: string): boolean;
    dropAllPending(): void;
    /** @param {string} key */
    pending(key: string): Pending | undefined;
    get allPending(): Pending[];
    /**
     * The server acknowledged a pending message: it is shown at its seq although its
     * event may not have come yet. Outside what is loaded it just goes.
     * @param {string} key @param {number} seq
     */
    confirm(key: string, seq: number): void;
    /** Is the message loaded? @param {number} seq */
    has(seq: number): boolean;
    /** The message at a seq, when it is loaded. @param {number} seq */
    get(seq: number): Message | undefined;
    /** The seq of the newest message, 0 when there is none. */
    get newest(): number;
    /**
     * The unbroken run of messages around a position, and whether more lies beyond
     * either end. Infinity is the live end, which pending messages belong to.
     * @param {number} at
     */
    run(at: number): {
        messages: Message[];
        hasOlder: boolean;
        hasNewer: boolean;
    };
}
