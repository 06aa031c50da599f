/**
 * A room as its user sees it: one ordered list of messages, who is here, what is
 * unread; and the verbs. It heals itself: after a lost connection or a hole in
 * the events it asks for what it missed (PROTOCOL.md §3).
 */

import { MessageList } from './list.js';
import { ChatError } from './link.js';
import { People } from './people.js';
import { PASSING, RETRY_MS, Sending } from './sending.js';
import { Outbox } from './outbox.js';

/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./list.js').User} User */
/**
 * What a Room needs of its Chat.
 * @typedef {object} Host
 * @property {(frame: Record<string, any>, use?: (r: any) => void) => Promise<any>} request
 * @property {Required<import('./link.js').Env>} env
 * @property {string} url
 * @property {User | null} user
 * @property {{text_bytes: number, text_runes: number}} limits
 * @property {import('./link.js').Status} status
 * @property {(room: Room) => void} forget
 */

const PAGE = 50;
/** typing is passed on once in 3 s (PROTOCOL.md §4). */
const TYPING_EVERY_MS = 3000;
/** Read marks are sent at most this often. */
const READ_EVERY_MS = 1000;
/**
 * A reload waits for once to twice this long. Retracts come in bursts, of one batch
 * the store refused, and to all members at once, who must not all ask in the same moment.
 */
const RELOAD_MS = 500;
/** What is loaded again comes in pages of the most there is. */
const BIG_PAGE = 100;

/**
 * Events: `change` (messages, their states, what is loaded), `people` (members,
 * count, typists), `read` (readSeq, unread), `state`, and `message` for each
 * numbered message as it arrives live, with the Message in `event.message`.
 * `change`, `people` and `read` come at most once per microtask.
 */
export class Room extends EventTarget {
  /**
   * idle: no connection yet. joining, joined: as they say. refused: the server
   * does not let this user in (see error). removed: the right was taken away. left: by leave().
   * @type {'idle' | 'joining' | 'joined' | 'refused' | 'removed' | 'left'}
   */
  state = 'idle';
  /** Why the room is refused. @type {ChatError | null} */
  error = null;
  /** True once a page has been shown: an empty list then means an empty room. */
  loaded = false;
  /** The user's read mark, a seq; -1 when the server keeps none. */
  readSeq = -1;
  /** Messages by others after the mark; the server stops counting at 1000. */
  unread = 0;

  #host;
  #list = new MessageList();
  /** Where the list is looked at: Infinity for the live end, else a loaded seq. */
  #at = Infinity;
  /** @type {ReturnType<MessageList['run']> | null} */
  #run = null;
  /** The last numbered event handled; -1 before the first page. */
  #cursor = -1;
  #people;
  /** A join is under way: events that do not fit are left to its answer. */
  #joining = false;
  /** The next join asks for the newest page: what is shown has to be replaced. */
  #reloadWanted = false;
  /** Set while what lies below a new page is loaded again; another object each time. @type {object | null} */
  #renewing = null;
  #sending;
  #typedAt = 0;
  #readSent = 0;
  /** @type {Map<string, any>} */
  #timers = new Map();
  /** @type {Set<string>} */
  #news = new Set();
  /** @type {Promise<void> | null} */
  #loading = null;

  /** Use `chat.room(name)`. @param {Host} host @param {string} name */
  constructor(host, name) {
    super();
    this.#host = host;
    this.name = name;
    this.#sending = new Sending({
      list: this.#list,
      env: host.env,
      joined: () => this.state === 'joined',
      join: () => void this.#join(),
      ask: (frame, use) => this.#ask(frame, use),
      later: (ms, f) => this.#later('send', ms, f),
      changed: () => this.#changed('change'),
    });
    this.#people = new People({
      changed: () => this.#changed('people'),
      ask: () => void this.#ask({ op: 'members' }, (r) => this.#people.set(r)).catch(() => {}),
      now: host.env.now,
      later: (ms, f) => this.#later('typing', ms, f),
    });
  }

  /** Oldest first: what is loaded around the place looked at, pending and failed ones last. @type {Message[]} */
  get messages() {
    return this.#view().messages;
  }

  /** Older messages exist than the first of `messages`. */
  get hasOlder() {
    return this.#view().hasOlder;
  }

  /** `messages` ends before the live end: see loadAround. */
  get hasNewer() {
    return this.#view().hasNewer;
  }

  /** Who is here, or null in rooms too big for a list. @type {User[] | null} */
  get members() {
    return this.#people.members;
  }

  get memberCount() {
    return this.#people.count;
  }

  /** Others who are typing now. @type {User[]} */
  get typists() {
    return this.#people.typists;
  }

  /** A loaded message by its seq. @param {number} seq */
  message(seq) {
    return this.#list.get(seq);
  }

  /**
   * Shows the message as pending at once and resolves with its seq when the server
   * has it. While there is no connection it waits. Rejects with a ChatError when
   * the server refuses; the message then stays as `failed` for retry or discard.
   * @param {string} text
   * @param {{data?: any, replyTo?: number}} [more] replyTo is the seq of the message answered
   * @returns {Promise<number>}
   */
  send(text, { data, replyTo } = {}) {
    const problem = this.#checkText(text, data);
    if (problem) return Promise.reject(problem);
    return this.#sending.send(text, data, replyTo);
  }

  /** Sends a failed message again. @param {string} key @returns {Promise<number>} */
  retry(key) {
    return this.#sending.retry(key);
  }

  /** Gives a pending or failed message up. @param {string} key */
  discard(key) {
    this.#sending.discard(key);
  }

  /** Changes the text of an own message; rejects with `conflict` when it changed meanwhile. @param {number} seq @param {string} text */
  async edit(seq, text) {
    const problem = this.#checkText(text);
    if (problem) throw problem;
    const base = this.#list.get(seq)?.edited ?? 0;
    await this.#ask({ op: 'edit', seq, text, base });
  }

  /** @param {number} seq */
  async delete(seq) {
    await this.#ask({ op: 'delete', seq });
  }

  /** Puts the user's reaction on a message, or takes it off. @param {number} seq @param {string} emoji @param {boolean} on */
  async react(seq, emoji, on) {
    await this.#ask({ op: 'react', seq, emoji, on });
  }

  /** Loads the page before the first of `messages`. Concurrent calls share one request. */
  loadOlder() {
    const oldest = this.messages[0];
    if (!this.hasOlder || !oldest?.seq) return Promise.resolve();
    return this.#load({ before: oldest.seq }, (r) => {
      this.#list.page(r.messages, { lo: first(r), hi: oldest.seq, older: r.has_more });
    });
  }

  /** Loads the page after the last of `messages`, when hasNewer. */
  loadNewer() {
    const newest = this.messages.at(-1);
    if (!this.hasNewer || !newest) return Promise.resolve();
    return this.#load({ after: newest.seq }, (r) => {
      this.#list.page(r.messages, { lo: newest.seq, hi: last(r), newer: r.has_newer });
      this.#at = r.has_newer ? newest.seq : Infinity;
    });
  }

  /**
   * Moves `messages` to the surroundings of a seq, wherever it is in the history.
   * @param {number} seq
   */
  async loadAround(seq) {
    if (!this.#list.has(seq)) {
      await this.#load({ around: seq }, (r) => {
        this.#list.page(r.messages, { lo: first(r), hi: last(r), older: r.has_more, newer: r.has_newer });
      });
    }
    this.#at = this.#list.run(seq).hasNewer ? seq : Infinity;
    this.#changed('change');
  }

  /** Moves `messages` back to the live end. */
  showLatest() {
    this.#at = Infinity;
    this.#changed('change');
  }

  /** Forgets the oldest loaded messages but `keep`; they can be loaded again. @param {number} keep */
  trim(keep) {
    if (this.#at !== Infinity) return;
    this.#list.trim(keep);
    this.#changed('change');
  }

  /** Moves the read mark to a message, the newest one by default. Never back. */
  markRead(seq = this.#list.newest) {
    if (this.readSeq < 0 || seq <= this.readSeq) return;
    this.readSeq = seq;
    this.unread = 0;
    this.#changed('read');
    if (this.#timers.has('read')) return;
    this.#sendRead();
    this.#later('read', READ_EVERY_MS, () => this.#sendRead());
  }

  /** Tells the others that the user is typing; call it at every key. */
  typing() {
    const now = this.#host.env.now();
    if (this.state !== 'joined' || now - this.#typedAt < TYPING_EVERY_MS) return;
    this.#typedAt = now;
    this.#ask({ op: 'typing' }).catch(() => {});
  }

  /** Leaves for good; `chat.room(name)` then makes a new Room. What is pending stays in the outbox. */
  leave() {
    if (this.state === 'left') return;
    if (this.state === 'joined') this.#ask({ op: 'leave' }).catch(() => {});
    this.onDown();
    for (const t of this.#timers.values()) this.#host.env.clearTimeout(t);
    this.#timers.clear();
    this.#sending.abandon('the room was left');
    this.#setState('left');
    this.#host.forget(this);
  }

  /** The connection said hello. Called by Chat. @param {User} user */
  onHello(user) {
    const { env, url } = this.#host;
    if (this.#list.me.id !== user.id || !this.#sending.loaded) this.#become(user, new Outbox(env.storage, url, user.id, this.name));
    this.#join();
  }

  /** The connection is gone. Called by Chat. */
  onDown() {
    this.#joining = false;
    if (this.#renewing) this.#reloadWanted = true;
    this.#renewing = null;
    this.#people.down();
    if (this.state === 'joined' || this.state === 'joining') this.#setState('idle');
  }

  /** An event of this room. Called by Chat. @param {any} e */
  onEvent(e) {
    if (e.seq) this.#numbered(e);
    else if (e.event === 'presence') this.#people.presence(e);
    else if (e.event === 'typing') e.from.id !== this.#list.me.id && this.#people.typing(e.from);
    else if (e.event === 'read') this.#read(e);
    else if (e.event === 'removed') {
      this.onDown();
      this.#setState('removed');
    }
  }

  /** Another tab changed the outbox. Called by Chat. @param {any} event a StorageEvent */
  onStorage(event) {
    this.#sending.onStorage(event);
  }

  /** Another user, or the first one: nothing of the last one may be shown, or sent in the new one's name. @param {User} user @param {Outbox} outbox */
  #become(user, outbox) {
    if (this.#sending.loaded) {
      this.#sending.abandon('the user changed');
      this.#list.reset();
      this.#list.dropAllPending();
      this.#cursor = -1;
      this.#at = Infinity;
      this.readSeq = this.#readSent = -1;
    }
    this.#list.me = user;
    this.#sending.open(outbox);
  }

  async #join() {
    if (this.#joining || this.state === 'left' || this.state === 'removed') return;
    this.#joining = true;
    const asked = this.#reloadWanted ? -1 : this.#cursor;
    if (this.state !== 'joined') this.#setState('joining');
    try {
      const where = asked < 0 ? { limit: PAGE } : { after: asked };
      await this.#ask({ op: 'join', ...where }, (r) => this.#joined(r, asked));
    } catch (e) {
      this.#notJoined(/** @type {ChatError} */ (e));
    }
  }

  /** @param {any} r @param {number} asked */
  #joined(r, asked) {
    this.#joining = false;
    if (!r.recovered) this.#newest(r);
    else if (r.after < asked) {
      this.#list.rewind(r.after);
      this.#cursor = r.after;
      // Pages may have shown changes that are lost now and leave no trace to undo.
      this.#reloadWanted = this.#list.newest > 0;
    }
    this.loaded = true;
    this.error = null;
    this.#people.set(r);
    this.#changed('change');
    this.#setState('joined');
    this.#sendRead();
    this.#sending.joined();
    if (this.#reloadWanted) this.#reload();
  }

  /** The newest page replaces what is shown. Where it joins on to that, the place looked at stays. @param {any} r */
  #newest(r) {
    const lo = first(r);
    const was = this.#cursor;
    const joinsOn = was >= 0 && (lo <= was || this.#at < Infinity);
    const page = { lo, hi: Infinity, older: r.has_more, since: r.head };
    let stale = null;
    if (joinsOn) {
      if (r.head < was) this.#list.rewind(r.head);
      stale = this.#list.renew(r.messages, page, this.#at);
    } else {
      this.#list.reset();
      this.#list.page(r.messages, page);
    }
    if (!joinsOn || !this.#list.run(this.#at).hasNewer) this.#at = Infinity;
    this.#cursor = r.head;
    this.#reloadWanted = false;
    this.#renewing = null;
    if (joinsOn) for (const m of r.messages) if (m.seq > was) this.#arrived(m);
    this.#read({ read: r.read ?? -1, unread: r.unread ?? 0 });
    if (stale) this.#renew(stale);
  }

  /** Loads a range of messages again, newest first, while the old ones are shown. @param {{from: number, to: number}} range */
  async #renew({ from, to }) {
    const mine = (this.#renewing = {});
    try {
      while (mine === this.#renewing && to >= from) {
        const since = this.#cursor;
        await this.#ask({ op: 'history', before: to + 1, limit: BIG_PAGE }, (r) => {
          if (mine !== this.#renewing) return;
          const lo = first(r);
          this.#list.page(r.messages, { lo, hi: to, older: r.has_more, since });
          to = lo - 1;
          this.#changed('change');
        });
      }
    } catch (err) {
      const e = /** @type {ChatError} */ (err);
      if (mine === this.#renewing && passes(e)) this.#reload(e.retryAfterMs ?? RETRY_MS);
    }
    if (mine === this.#renewing) this.#renewing = null;
  }

  /** Has the room loaded again soon. @param {number} [ms] */
  #reload(ms = RELOAD_MS * (1 + this.#host.env.random())) {
    this.#reloadWanted = true;
    this.#later('reload', ms, () => {
      if (this.#reloadWanted && this.state === 'joined') this.#join();
    });
  }

  /** @param {ChatError} e */
  #notJoined(e) {
    if (e.code === 'disconnected') return; // onDown has seen to it, and a new join may be under way
    this.#joining = false;
    if (passes(e)) {
      this.#later('join', e.retryAfterMs ?? RETRY_MS, () => this.#join());
      return;
    }
    this.error = e;
    this.#setState('refused');
  }

  /** @param {any} e */
  #numbered(e) {
    if (this.#cursor < 0 || e.seq <= this.#cursor) return;
    if (e.prev !== this.#cursor) {
      // A hole. What is missing, and this event again, come after the join.
      this.#join();
      return;
    }
    this.#cursor = e.seq;
    if (e.event === 'retract' && this.#misses(e.target)) this.#reload();
    this.#list.apply(e);
    if (e.event === 'message') this.#arrived(e);
    this.#changed('change');
  }

  /** Whether a retract needs what only a page can tell (PROTOCOL.md §6). A page under way may show its target yet. @param {number} target */
  #misses(target) {
    return !this.#list.has(target) && (!!this.#loading || !!this.#renewing || !this.#list.canUndo(target));
  }

  /** @param {any} e a message, as an event or a page has it */
  #arrived(e) {
    if (e.from.id !== this.#list.me.id && this.readSeq >= 0 && e.seq > this.readSeq) {
      this.unread++;
      this.#changed('read');
    }
    this.#people.wrote(e.from.id);
    const message = this.#list.get(e.seq);
    if (message) this.dispatchEvent(Object.assign(new Event('message'), { message }));
  }

  /** What the server says about the mark. @param {{read: number, unread: number}} r */
  #read(r) {
    this.#readSent = r.read;
    if (r.read < this.readSeq) return;
    this.readSeq = r.read;
    this.unread = r.unread;
    this.#changed('read');
  }

  #sendRead() {
    if (this.state !== 'joined' || this.readSeq <= this.#readSent) return;
    const seq = this.readSeq;
    this.#ask({ op: 'read', seq }, (r) => this.#read(r)).catch((e) => {
      if (e.code === 'not_found') this.readSeq = -1;
    });
  }

  /** @param {string} text @param {any} [data] */
  #checkText(text, data) {
    const { text_bytes: bytes, text_runes: runes } = this.#host.limits;
    if (data === undefined && !/[^\s\p{C}]/u.test(text)) return new ChatError('empty_message', 'the message is empty');
    const size = new TextEncoder().encode(text + (data === undefined ? '' : JSON.stringify(data))).length;
    if (size > bytes || [...text].length > runes) return new ChatError('too_long', 'the message is too long');
    return null;
  }

  /**
   * A history request; `use` takes the answer in. One at a time.
   * @param {Record<string, number>} where @param {(r: any) => void} use @returns {Promise<void>}
   */
  #load(where, use) {
    this.#loading ??= this.#ask({ op: 'history', limit: PAGE, ...where }, (r) => {
      use(r);
      this.#changed('change');
    }).finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  /** A request about this room. @param {Record<string, any>} frame with op @param {(r: any) => void} [use] */
  #ask({ op, ...rest }, use) {
    return this.#host.request({ op, room: this.name, ...rest }, use);
  }

  #view() {
    this.#run ??= this.#list.run(this.#at);
    return this.#run;
  }

  /** @param {'change' | 'people' | 'read'} what */
  #changed(what) {
    if (what === 'change') this.#run = null;
    if (this.#news.has(what)) return;
    this.#news.add(what);
    queueMicrotask(() => {
      this.#news.delete(what);
      this.dispatchEvent(new Event(what));
    });
  }

  /** @param {Room['state']} state */
  #setState(state) {
    if (this.state === state) return;
    this.state = state;
    this.dispatchEvent(new Event('state'));
  }

  /** One timer per name; a later call does not move it. @param {string} name @param {number} ms @param {() => void} f */
  #later(name, ms, f) {
    if (this.#timers.has(name)) return;
    this.#timers.set(name, this.#host.env.setTimeout(() => {
      this.#timers.delete(name);
      f();
    }, ms));
  }
}

/** A refusal that passes with time. @param {ChatError} e */
const passes = (e) => PASSING.has(e.code) || e.code === 'internal';

/** From where on a page knows everything. @param {any} r */
const first = (r) => (r.has_more && r.messages[0]?.seq) || 0;

/** Up to where. @param {any} r */
const last = (r) => (r.has_newer && r.messages.at(-1)?.seq) || Infinity;
