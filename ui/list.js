/**
 * One room's messages as plain data: no socket, no clock, no DOM.
 *
 * The list is made of bases (a message as an event or a page showed it) and
 * changes (edits, deletions, reactions) kept beside them by seq. What a message
 * looks like is computed from both, so the order in which they came does not
 * matter: the same events give the same list in any order, twice or once.
 */

/** @typedef {{id: string, name: string}} User */
/** @typedef {{emoji: string, count: number, users: string[], mine: boolean}} Reaction */
/**
 * What a person sees of one message. A Message is never changed in place: when
 * something about it changes there is a new object, so `===` tells.
 * @typedef {object} Message
 * @property {string} id stable for as long as the message is shown, also from pending to sent
 * @property {number} seq its position; 0 while it is pending
 * @property {string} key the sender's key; '' when it has none
 * @property {User} from
 * @property {string} text '' once deleted
 * @property {any} data what the sender attached; undefined when nothing
 * @property {number} replyTo the seq of the message it answers; 0 for none
 * @property {number} at Unix milliseconds
 * @property {number} edited the seq of its latest edit; 0 when never edited
 * @property {boolean} deleted
 * @property {Reaction[]} reactions
 * @property {boolean} mine sent by this user
 * @property {'sent' | 'pending' | 'failed'} state
 * @property {{code: string, message: string, retryAfterMs?: number} | null} error why it failed
 */
/**
 * An own message that is not acknowledged yet.
 * @typedef {object} Pending
 * @property {string} key
 * @property {string} text
 * @property {any} [data]
 * @property {number} [replyTo]
 * @property {number} at Unix milliseconds of writing
 * @property {boolean} [tried] a frame with this key may have reached the server
 * @property {{code: string, message: string, retryAfterMs?: number} | null} [error] set when it failed
 */
/**
 * @typedef {object} Entry
 * @property {number} seq
 * @property {any} base null while only changes are known
 * @property {boolean} provisional the base is what was sent, not what the server says
 * @property {any[]} changes ascending by seq
 * @property {boolean} cut superseded changes were dropped
 * @property {Message | null} view null when it has to be computed again
 * @property {Message | null} last the view before
 */

/** Changes to messages that are not loaded: enough for a page under way, bounded against a flood of old edits. */
const MAX_ORPHANS = 1000;
/** Beyond this many changes to one message the superseded ones are dropped (somebody toggles a reaction all day). */
const MAX_CHANGES = 200;

export class MessageList {
  /** @type {User} */
  me = { id: '', name: '' };
  /** @type {Map<number, Entry>} */
  #entries = new Map();
  /** Entries known by their changes only. @type {Set<number>} */
  #orphans = new Set();
  /** Seqs of the messages shown, ascending. @type {number[]} */
  #order = [];
  /** Retracted seq → seq of the retract. @type {Map<number, number>} */
  #retracted = new Map();
  /** A gap g says: what lies just below g is not loaded. @type {number[]} */
  #gaps = [];
  /** Own numbered messages by key. @type {Map<string, number>} */
  #byKey = new Map();
  /** In the order of sending. @type {Map<string, Pending>} */
  #pending = new Map();
  /** @type {Map<Pending, Message>} */
  #pendingViews = new Map();

  /** Forgets everything but what is pending. */
  reset() {
    this.#entries.clear();
    this.#orphans.clear();
    this.#order = [];
    this.#retracted.clear();
    this.#gaps = [];
    this.#byKey.clear();
    this.#pendingViews.clear();
  }

  /** Takes in one numbered event (PROTOCOL.md §6). @param {any} event */
  apply(event) {
    if (event.event === 'message') {
      const e = this.#entry(event.seq);
      // A page knows at least as much as the event, so it is never replaced by it.
      if (!e.base || e.provisional) this.#setBase(e, event, false);
    } else if (event.event === 'retract') {
      this.#retracted.set(event.target, event.seq);
      this.#hide(event.target);
      for (const e of this.#entries.values()) {
        if (e.changes.some((c) => c.seq === event.target)) e.view = null;
      }
    } else {
      const e = this.#entry(event.target);
      let i = e.changes.length;
      while (i > 0 && e.changes[i - 1].seq > event.seq) i--;
      if (i > 0 && e.changes[i - 1].seq === event.seq) return;
      e.changes.splice(i, 0, event);
      e.view = null;
      if (e.changes.length > MAX_CHANGES) compact(e);
    }
  }

  /**
   * Whether a retract of a seq that is no message here can be carried out with
   * what is known. Not so when a page may have shown the change: it does not
   * tell what was before. What is known of nothing older cannot matter.
   * @param {number} seq
   */
  canUndo(seq) {
    for (const e of this.#entries.values()) {
      const c = e.changes.find((c) => c.seq === seq);
      if (c) return !e.base || (!e.cut && !shows(e.base, c));
    }
    return !(this.#order[0] < seq);
  }

  /**
   * Takes in messages as a page shows them, and what the page says about its
   * surroundings: everything from `lo` to `hi` is known now. With `since`, a position the
   * page was built at or after, what the range had up to there and the page does not show is forgotten.
   * @param {any[]} messages oldest first
   * @param {{lo: number, hi: number, older?: boolean, newer?: boolean, since?: number}} range
   */
  page(messages, { lo, hi, older = false, newer = false, since = -1 }) {
    const kept = new Set(messages.map((m) => m.seq));
    for (const e of this.#entries.values()) {
      if (e.seq < lo || e.seq > Math.min(hi, since)) continue;
      if (kept.has(e.seq)) e.changes = e.changes.filter((c) => c.seq > since);
      else this.#remove(e);
    }
    this.#tidy();
    // At a message that was loaded before, it is known already whether its neighbours are.
    const edgeLo = older && !this.#entries.get(lo)?.base;
    const edgeHi = newer && !this.#entries.get(hi)?.base;
    for (const m of messages) this.#setBase(this.#entry(m.seq), m, false);
    this.#gaps = this.#gaps.filter((g) => g <= lo || g > hi);
    if (edgeLo) this.#addGap(lo);
    if (edgeHi) this.#addGap(hi + 1);
  }

  /**
   * Takes in the newest page in place of what was known up to the position
   * `since`. Of what lies below it only the run around `at` stays, for those who look at
   * it, and may be out of date: returned is from where to where, to be loaded again.
   * @param {any[]} messages oldest first
   * @param {{lo: number, hi: number, older: boolean, since: number}} range
   * @param {number} at
   * @returns {{from: number, to: number} | null}
   */
  renew(messages, range, at) {
    const { lo, older } = range;
    const { lower, upper } = this.#bounds(at);
    for (const e of this.#entries.values()) if (e.seq < lo && (e.seq < lower || e.seq >= upper)) this.#remove(e);
    this.page(messages, range);
    this.#gaps = lower > -Infinity && lower < lo ? [lower] : [];
    if (older && (upper <= lo || lower >= lo)) this.#addGap(lo);
    const [i, j] = [lower, Math.min(upper, lo)].map((seq) => lowerBound(this.#order, seq));
    return i < j ? { from: this.#order[i], to: this.#order[j - 1] } : null;
  }

  /** Forgets every numbered event above `after` (PROTOCOL.md §4, join). @param {number} after */
  rewind(after) {
    for (const [seq, e] of this.#entries) {
      if (seq > after) this.#remove(e);
      else if (e.changes.some((c) => c.seq > after)) {
        e.changes = e.changes.filter((c) => c.seq <= after);
        e.view = null;
      }
    }
    for (const [target, seq] of this.#retracted) {
      if (seq <= after) continue;
      this.#retracted.delete(target);
      const e = this.#entries.get(target);
      if (e?.base) this.#setBase(e, e.base, e.provisional);
    }
    this.#tidy();
    this.#gaps = this.#gaps.filter((g) => g <= after);
  }

  /** Drops the oldest until at most `keep` are left of the live end. @param {number} keep */
  trim(keep) {
    const cut = this.#order.length - keep;
    if (cut <= 0) return;
    const first = this.#order[cut];
    for (const seq of this.#order.slice(0, cut)) this.#remove(/** @type {Entry} */ (this.#entries.get(seq)));
    this.#tidy();
    this.#gaps = this.#gaps.filter((g) => g > first);
    this.#addGap(first);
  }

  /** Adds or replaces a pending message. @param {Pending} p */
  putPending(p) {
    this.#pendingViews.delete(/** @type {Pending} */ (this.#pending.get(p.key)));
    this.#pending.set(p.key, p);
  }

  /** @param {string} key */
  dropPending(key) {
    const p = this.#pending.get(key);
    if (p) this.#pendingViews.delete(p);
    return this.#pending.delete(key);
  }

  dropAllPending() {
    this.#pending.clear();
    this.#pendingViews.clear();
  }

  /** @param {string} key */
  pending(key) {
    return this.#pending.get(key);
  }

  get allPending() {
    return [...this.#pending.values()];
  }

  /**
   * The server acknowledged a pending message: it is shown at its seq although its
   * event may not have come yet. Outside what is loaded it just goes.
   * @param {string} key @param {number} seq
   */
  confirm(key, seq) {
    const p = this.#pending.get(key);
    if (!p) return;
    this.dropPending(key);
    const { lower } = this.#bounds(Infinity);
    if (seq < lower || this.#entries.get(seq)?.base) return;
    const base = { seq, key, from: this.me, text: p.text, data: p.data, reply_to: p.replyTo };
    this.#setBase(this.#entry(seq), base, true);
  }

  /** Is the message loaded? @param {number} seq */
  has(seq) {
    return !!this.#entries.get(seq)?.base && !this.#retracted.has(seq);
  }

  /** The message at a seq, when it is loaded. @param {number} seq */
  get(seq) {
    return this.has(seq) ? this.#view(/** @type {Entry} */ (this.#entries.get(seq))) : undefined;
  }

  /** The seq of the newest message, 0 when there is none. */
  get newest() {
    return this.#order.at(-1) ?? 0;
  }

  /**
   * The unbroken run of messages around a position, and whether more lies beyond
   * either end. Infinity is the live end, which pending messages belong to.
   * @param {number} at
   */
  run(at) {
    const { lower, upper } = this.#bounds(at);
    const from = lowerBound(this.#order, lower);
    const to = upper === Infinity ? this.#order.length : lowerBound(this.#order, upper);
    const messages = this.#order.slice(from, to).map((seq) => this.#view(/** @type {Entry} */ (this.#entries.get(seq))));
    if (upper === Infinity) {
      for (const p of this.#pending.values()) if (!this.#byKey.has(p.key)) messages.push(this.#pendingView(p));
    }
    return { messages, hasOlder: lower > -Infinity, hasNewer: upper < Infinity };
  }

  /** @param {number} at */
  #bounds(at) {
    let lower = -Infinity;
    let upper = Infinity;
    for (const g of this.#gaps) {
      if (g <= at) lower = g;
      else {
        upper = g;
        break;
      }
    }
    return { lower, upper };
  }

  /** @param {number} g */
  #addGap(g) {
    const i = lowerBound(this.#gaps, g);
    if (this.#gaps[i] !== g) this.#gaps.splice(i, 0, g);
  }

  /** Without its place in the order: #tidy() follows. @param {Entry} e */
  #remove(e) {
    this.#entries.delete(e.seq);
    this.#orphans.delete(e.seq);
    if (e.base?.key && this.#byKey.get(e.base.key) === e.seq) this.#byKey.delete(e.base.key);
  }

  #tidy() {
    this.#order = this.#order.filter((seq) => this.#entries.has(seq));
  }

  /** @param {number} seq @returns {Entry} */
  #entry(seq) {
    let e = this.#entries.get(seq);
    if (!e) {
      e = { seq, base: null, provisional: false, changes: [], cut: false, view: null, last: null };
      this.#entries.set(seq, e);
      this.#orphans.add(seq);
      if (this.#orphans.size > MAX_ORPHANS) {
        const [oldest] = this.#orphans;
        this.#orphans.delete(oldest);
        this.#entries.delete(oldest);
      }
    }
    return e;
  }

  /** @param {Entry} e @param {any} base @param {boolean} provisional */
  #setBase(e, base, provisional) {
    e.base = base;
    e.provisional = provisional;
    e.view = null;
    this.#orphans.delete(e.seq);
    if (this.#retracted.has(e.seq)) return;
    const i = lowerBound(this.#order, e.seq);
    if (this.#order[i] !== e.seq) this.#order.splice(i, 0, e.seq);
    if (base.key && base.from.id === this.me.id) this.#byKey.set(base.key, e.seq);
  }

  /** @param {number} seq */
  #hide(seq) {
    const i = lowerBound(this.#order, seq);
    if (this.#order[i] === seq) this.#order.splice(i, 1);
    const key = this.#entries.get(seq)?.base?.key;
    if (key && this.#byKey.get(key) === seq) this.#byKey.delete(key);
  }

  /** @param {Entry} e @returns {Message} */
  #view(e) {
    if (e.view) return e.view;
    const b = e.base;
    let { text, edited = 0, deleted = false } = b;
    for (const c of e.changes) {
      if (this.#retracted.has(c.seq)) continue;
      if (c.event === 'delete') deleted = true;
      if (c.event === 'edit' && c.seq > edited) ({ text, seq: edited } = c);
    }
    const mine = b.from.id === this.me.id;
    const changes = e.changes.filter((c) => c.event === 'react' && !this.#retracted.has(c.seq));
    const view = /** @type {Message} */ ({
      id: mine && b.key ? 'k' + b.key : 's' + e.seq,
      seq: e.seq,
      key: b.key ?? '',
      from: b.from,
      text: deleted ? '' : (text ?? ''),
      data: deleted ? undefined : b.data,
      replyTo: b.reply_to ?? 0,
      at: Math.floor(e.seq / 1000),
      edited,
      deleted,
      reactions: deleted ? [] : reactions(b.reactions ?? [], changes, this.me.id),
      mine,
      state: 'sent',
      error: null,
    });
    // The same again, said by a page, is the same object: nothing is drawn anew.
    e.view = e.last = JSON.stringify(view) === JSON.stringify(e.last) ? e.last : view;
    return /** @type {Message} */ (e.view);
  }

  /** @param {Pending} p @returns {Message} */
  #pendingView(p) {
    let view = this.#pendingViews.get(p);
    if (!view) {
      view = {
        id: 'k' + p.key, seq: 0, key: p.key, from: this.me, text: p.text, data: p.data,
        replyTo: p.replyTo ?? 0, at: p.at, edited: 0, deleted: false, reactions: [],
        mine: true, state: p.error ? 'failed' : 'pending', error: p.error ?? null,
      };
      this.#pendingViews.set(p, view);
    }
    return view;
  }
}

/**
 * The reactions of a page with the later (or the same) changes on top. The last
 * change of a user and emoji wins over the page, which cannot know later ones.
 * @param {any[]} base @param {any[]} changes ascending by seq @param {string} me
 * @returns {Reaction[]}
 */
function reactions(base, changes, me) {
  /** @type {Map<string, {users: Set<string>, unnamed: number}>} */
  const all = new Map();
  for (const r of base) all.set(r.emoji, { users: new Set(r.users), unnamed: r.count - r.users.length });
  for (const c of changes) {
    const r = all.get(c.emoji) ?? { users: new Set(), unnamed: 0 };
    if (c.on) r.users.add(c.from.id);
    else if (!r.users.delete(c.from.id) && r.unnamed > 0) r.unnamed--;
    // An emoji that went and comes again goes to the end, as on the server.
    if (r.users.size + r.unnamed === 0) all.delete(c.emoji);
    else all.set(c.emoji, r);
  }
  return [...all].map(([emoji, r]) => ({
    emoji, count: r.users.size + r.unnamed, users: [...r.users], mine: r.users.has(me),
  }));
}

/** Whether a message may show the change by itself, without its event. @param {any} base @param {any} c */
function shows(base, c) {
  if (base.event) return false;
  if (c.event !== 'react') return c.event === 'edit' ? base.edited === c.seq : !!base.deleted;
  const r = base.reactions?.find((/** @type {any} */ r) => r.emoji === c.emoji);
  return !!r?.users.includes(c.from.id) === c.on || r?.count > r?.users.length;
}

/** Keeps the last edit, the deletion, and the last change of each user and emoji. @param {Entry} e */
function compact(e) {
  const last = new Map();
  for (const c of e.changes) last.set(c.event === 'react' ? c.emoji + '\0' + c.from.id : c.event, c);
  e.changes = [...last.values()].sort((a, b) => a.seq - b.seq);
  e.cut = true;
}

/** The first index whose value is not below x. @param {number[]} sorted @param {number} x */
function lowerBound(sorted, x) {
  if (!sorted.length || sorted[sorted.length - 1] < x) return sorted.length;
  let lo = 0;
  let hi = sorted.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (sorted[mid] < x) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}
