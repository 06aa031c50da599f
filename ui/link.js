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
export class ChatError extends Error {
  /** @param {string} code @param {string} [message] @param {{field?: string, retryAfterMs?: number}} [more] */
  constructor(code, message = code, more = {}) {
    super(message);
    this.name = 'ChatError';
    this.code = code;
    this.field = more.field;
    this.retryAfterMs = more.retryAfterMs;
  }
}

const PROTOCOL = 'chatroom.v1';
const BACKOFF_MIN = 500;
const BACKOFF_MAX = 30_000;
/** No hello by then: the attempt has failed. Also how long a ping may go unanswered (PROTOCOL.md §7). */
const ANSWER_MS = 10_000;
/** A connection that lived this long ends a series of failures. */
const STABLE_MS = 5_000;

export class Link {
  /** @type {Status} */
  status = 'waiting';
  /** When the next attempt starts, in Unix milliseconds; 0 when none is planned. */
  retryAt = 0;
  /** Why the connection was lost or closed: the close reason's word, or offline, timeout, hidden. */
  reason = '';

  #url;
  #env;
  #on;
  /** @type {any} */
  #ws = null;
  /** @type {Map<string, {use?: (r: any) => void, resolve: (r: any) => void, reject: (e: Error) => void}>} */
  #waiting = new Map();
  #nextId = 1;
  #failures = 0;
  #openedAt = 0;
  #heardAt = 0;
  #heartbeat = 25_000;
  /** The server's own wish from going_away, when the close reason does not carry it. */
  #awayMs = -1;
  /** @type {any} */
  #timer = null;
  /** @type {() => void} */
  #unhook = () => {};

  /**
   * @param {string} url
   * @param {Required<Env>} env
   * @param {{status: () => void, hello: (h: any) => void, event: (e: any) => void}} on
   */
  constructor(url, env, on) {
    this.#url = url;
    this.#env = env;
    this.#on = on;
    this.#hook();
    this.#connect();
  }

  /**
   * Sends a request and resolves with its reply; rejects with the server's
   * refusal, or with `disconnected` when the connection ends first. `use` gets the
   * reply before any frame that follows it, which a promise does not promise.
   * @param {Record<string, any>} frame without id @param {(r: any) => void} [use] @returns {Promise<any>}
   */
  request(frame, use) {
    if (this.status !== 'open') return Promise.reject(new ChatError('disconnected', 'not connected'));
    const id = String(this.#nextId++);
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { use, resolve, reject });
      this.#ws.send(JSON.stringify({ id, ...frame }));
    });
  }

  /** Tries now instead of at retryAt. Does nothing unless waiting. */
  retry() {
    if (this.status === 'waiting') this.#connect();
  }

  /** Ends the connection for good. Safe to call twice. */
  close(reason = 'closed') {
    if (this.status === 'closed') return;
    this.#drop();
    this.#unhook();
    this.#set('closed', reason);
  }

  #connect() {
    this.#stopTimer();
    this.#set('connecting', this.reason);
    const ws = new this.#env.WebSocket(this.#url, [PROTOCOL]);
    this.#ws = ws;
    ws.onmessage = (/** @type {any} */ e) => ws === this.#ws && this.#heard(e.data);
    ws.onclose = (/** @type {any} */ e) => ws === this.#ws && this.#closed(e.code, e.reason || '');
    this.#after(ANSWER_MS, () => this.#lost('timeout', this.#backoff()));
  }

  /** @param {any} data */
  #heard(data) {
    this.#heardAt = this.#env.now();
    const frame = JSON.parse(data);
    if (frame.event === 'hello') {
      this.#heartbeat = frame.heartbeat_ms;
      this.#openedAt = this.#heardAt;
      this.#awayMs = -1;
      this.#watch();
      this.#set('open', '');
      this.#on.hello(frame);
    } else if (frame.event) {
      if (frame.event === 'going_away') this.#awayMs = frame.retry_after_ms ?? 0;
      this.#on.event(frame);
    } else {
      const w = this.#waiting.get(frame.id);
      this.#waiting.delete(frame.id);
      const { code, message, field, retry_after_ms: retryAfterMs } = frame.error ?? {};
      if (code) w?.reject(new ChatError(code, message, { field, retryAfterMs }));
      else {
        w?.use?.(frame);
        w?.resolve(frame);
      }
    }
  }

  /** What a close code asks for (PROTOCOL.md §7). @param {number} code @param {string} text */
  #closed(code, text) {
    const [word, ms] = text.split(' ');
    const stable = this.status === 'open' && this.#env.now() - this.#openedAt >= STABLE_MS;
    if (stable) this.#failures = 0;
    if (code >= 4500 && code <= 4999) {
      this.#drop();
      this.#unhook();
      this.#set('closed', word || 'refused');
    } else if (code === 1001 || (code >= 4100 && code <= 4199)) {
      const wish = Number.parseInt(ms, 10);
      const delay = Number.isFinite(wish) ? wish : this.#awayMs >= 0 ? this.#awayMs : this.#backoff();
      this.#lost(word || 'going_away', delay);
    } else if (code >= 4000 && code <= 4099) {
      // "Now" once; a connection that keeps being closed right away backs off.
      this.#lost(word || 'closed', stable ? 0 : this.#backoff());
    } else {
      const offline = this.#env.window?.navigator?.onLine === false;
      this.#lost(word || (offline ? 'offline' : 'lost'), this.#awayMs >= 0 ? this.#awayMs : this.#backoff());
    }
  }

  /** @param {string} reason @param {number} delay */
  #lost(reason, delay) {
    this.#drop();
    this.retryAt = this.#env.now() + delay;
    this.#after(delay, () => this.#connect());
    this.#set('waiting', reason);
  }

  /** Lets go of the socket without waiting for its goodbye, which a dead network never brings. */
  #drop() {
    this.#stopTimer();
    const ws = this.#ws;
    this.#ws = null;
    try {
      ws?.close(1000);
    } catch {
      // it was never open
    }
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const w of waiting) w.reject(new ChatError('disconnected', 'the connection was lost'));
  }

  /** Full jitter: anything from nothing to the doubling bound, so that a crowd does not come back in step. */
  #backoff() {
    const bound = Math.min(BACKOFF_MAX, BACKOFF_MIN * 2 ** this.#failures);
    this.#failures = Math.min(this.#failures + 1, 10);
    return Math.round(this.#env.random() * bound);
  }

  /** The watchdog of PROTOCOL.md §7: one timer, moved when it fires and not at every frame. */
  #watch() {
    const quiet = this.#env.now() - this.#heardAt;
    if (quiet < this.#heartbeat) this.#after(this.#heartbeat - quiet, () => this.#watch());
    else this.#probe();
  }

  #probe() {
    const asked = this.#env.now();
    this.request({ op: 'ping' }).catch(() => {});
    this.#after(ANSWER_MS, () => {
      if (this.#heardAt >= asked) this.#watch();
      else this.#lost('timeout', 0);
    });
  }

  #hook() {
    const { window, document } = this.#env;
    /** @type {[any, string, () => void][]} */
    const hooks = [
      [window, 'online', () => this.#online()],
      [window, 'offline', () => this.status === 'open' && this.#lost('offline', this.#backoff())],
      // An open socket keeps a page out of the back-forward cache.
      [window, 'pagehide', () => this.#sleep()],
      [window, 'pageshow', () => this.#wake()],
      [document, 'visibilitychange', () => document.visibilityState === 'visible' && this.#wake()],
    ];
    for (const [target, type, f] of hooks) target?.addEventListener(type, f);
    this.#unhook = () => {
      for (const [target, type, f] of hooks) target?.removeEventListener(type, f);
    };
  }

  /** What failed before, failed for want of a network. */
  #online() {
    this.#failures = 0;
    this.#wake();
  }

  #sleep() {
    this.#drop();
    this.retryAt = 0;
    this.#set('waiting', 'hidden');
  }

  /** Somebody looks again, or the network is back: the connection may be dead without a sign. */
  #wake() {
    if (this.status === 'waiting') this.#connect();
    else if (this.status === 'open' && this.#env.now() - this.#heardAt > 1000) this.#probe();
  }

  /** @param {Status} status @param {string} reason */
  #set(status, reason) {
    if (status !== 'waiting') this.retryAt = 0;
    this.status = status;
    this.reason = reason;
    this.#on.status();
  }

  /** @param {number} ms @param {() => void} f */
  #after(ms, f) {
    this.#stopTimer();
    this.#timer = this.#env.setTimeout(f, ms);
  }

  #stopTimer() {
    if (this.#timer !== null) this.#env.clearTimeout(this.#timer);
    this.#timer = null;
  }
}
