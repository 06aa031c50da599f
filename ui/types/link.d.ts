/**
 * One connection to a hub, and the state machine that keeps it:
 *
 *     connecting ── hello ──▶ open
 *       ▲    └── fails ──┐     │ lost
 *       │                ▼     ▼
 *       └── time is up ─ waiting          any ── close(), 4500–4999 ──▶ closed
 *
 * Everything it needs from the outside is in an Env, so that tests own the clock
 * and the network.
 */
export type Env = {
    /**
     * the constructor
     */
    WebSocket?: any;
    /**
     * Unix milliseconds
     */
    now?: () => number;
    setTimeout?: (f: () => void, ms: number) => any;
    clearTimeout?: (t: any) => void;
    /**
     * 0 to 1, for the jitter and for keys
     */
    random?: () => number;
    /**
     * where the outbox is kept; null for nowhere
     */
    storage?: Storage | null;
    /**
     * hears online, offline, pagehide, pageshow, storage
     */
    window?: any;
    /**
     * hears visibilitychange
     */
    document?: any;
};
export type Status = 'connecting' | 'open' | 'waiting' | 'closed';
/**
 * @typedef {object} Env
 * @property {any} [WebSocket] the constructor
 * @property {() => number} [now] Unix milliseconds
 * @property {(f: () => void, ms: number) => any} [setTimeout]
 * @property {(t: any) => void} [clearTimeout]
 * @property {() => number} [random] 0 to 1, for the jitter and for keys
 * @property {Storage | null} [storage] where the outbox is kept; null for nowhere
 * @property {any} [window] hears online, offline, pagehide, pageshow, storage
 * @property {any} [document] hears visibilitychange
 */
/** @typedef {'connecting' | 'open' | 'waiting' | 'closed'} Status */
/** A refusal by the server (PROTOCOL.md §8), or one of the client's own: `disconnected`, `closed`, `outbox_full`. */
export declare class ChatError extends Error {
    code: string;
    field: string | undefined;
    retryAfterMs: number | undefined;
    /** @param {string} code @param {string} [message] @param {{field?: string, retryAfterMs?: number}} [more] */
    constructor(code: string, message?: string, more?: {
        field?: string;
        retryAfterMs?: number;
    });
}
export declare class Link {
    #private;
    /** @type {Status} */
    status: Status;
    /** When the next attempt starts, in Unix milliseconds; 0 when none is planned. */
    retryAt: number;
    /** Why the connection was lost or closed: the close reason's word, or offline, timeout, hidden. */
    reason: string;
    /**
     * @param {string} url
     * @param {Required<Env>} env
     * @param {{status: () => void, hello: (h: any) => void, event: (e: any) => void}} on
     */
    constructor(url: string, env: Required<Env>, on: {
        status: () => void;
        hello: (h: any) => void;
        event: (e: any) => void;
    });
    /**
     * Sends a request and resolves with its reply; rejects with the server's
     * refusal, or with `disconnected` when the connection ends first. `use` gets the
     * reply before any frame that follows it, which a promise does not promise.
     * @param {Record<string, any>} frame without id @param {(r: any) => void} [use] @returns {Promise<any>}
     */
    request(frame: Record<string, any>, use?: (r: any) => void): Promise<any>;
    /** Tries now instead of at retryAt. Does nothing unless waiting. */
    retry(): void;
    /** Ends the connection for good. Safe to call twice. */
    close(reason?: string): void;
}
