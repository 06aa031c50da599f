/**
 * The list of messages. It shows a window of at most MAX_ROWS of the room's
 * messages and moves it with the reader; what is far away is trimmed.
 *
 * Everything that changes the DOM goes through #move, which keeps the place of
 * what the reader looks at, or the end when the reader is there. Jumps wait for
 * each other in one queue.
 */

import { h, icon } from './dom.js';
import { Actions, newRow, updateRow } from './row.js';
import { dayName, midnight, still } from './ui.js';

/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./ui.js').UI} UI */
/** @typedef {import('./row.js').Row} Row */

const MAX_ROWS = 300;
const STEP = 50;
/** A reader at the end needs no more in memory; a page left open for weeks must not grow. */
const KEEP = 1000;
/** More is fetched when the reader is this close to an edge, in pixels. */
const NEAR = 800;
/** This close to the end is at the end. */
const END = 40;
const GROUP_MS = 5 * 60 * 1000;

export class Timeline {
  /** The reader sees the newest message. */
  atEnd = true;
  /** Messages that came since the reader left the end. */
  missed = 0;

  #ui;
  #view;
  #rows;
  #top;
  #jump;
  actions;
  /** What is in the DOM: by key, messages and separators. @type {Map<string, Row | {el: HTMLElement}>} */
  #shown = new Map();
  /** The ids of the first and the last message in the DOM; no last while the window follows the end. */
  #first = '';
  #last = '';
  /** The divider stands after this seq; -1 for none. */
  #divider = -1;
  /** The reader has seen the end since the divider was set: the next unseen message moves it. */
  #caughtUp = false;
  #placed = false;
  #gliding = false;
  #frame = 0;
  /** @type {Promise<unknown>} */
  #queue = Promise.resolve();
  #resize = new ResizeObserver(() => this.#move(() => {}));
  #loading = false;

  /** @param {UI} ui @param {{onRead: () => void}} on */
  constructor(ui, on) {
    this.#ui = ui;
    this.onRead = on.onRead;
    this.actions = new Actions(ui);
    this.#top = h('div.top', { part: 'top' });
    this.#rows = h('div.rows');
    this.#view = h('div.view', { part: 'messages', role: 'log', 'aria-live': 'off', 'aria-label': ui.t('messages') }, this.#top, this.#rows);
    this.#jump = h('button.jump', { type: 'button', part: 'jump', hidden: true, onclick: () => this.latest() }, h('span'), icon('down'));
    this.el = h('div.timeline', null, this.#view, this.#jump);
    this.#listen();
    this.#resize.observe(this.#view);
  }

  close() {
    this.#resize.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  /** Draws what changed, at most once per frame. */
  update() {
    this.#frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    if (!this.#placed && this.#ui.room.loaded) this.#place();
    else this.#move(() => this.#paint());
    const { room } = this.#ui;
    if (this.atEnd && room.messages.length > 2 * KEEP) room.trim(KEEP);
    // A tall window may have nothing to scroll.
    if (this.#placed && room.hasOlder && this.#view.scrollHeight <= this.#view.clientHeight) this.#older();
  }

  /** A message came in live. @param {Message} m */
  arrived(m) {
    if (m.mine) return;
    const seen = this.atEnd && document.visibilityState === 'visible';
    if (seen) return;
    if (!this.atEnd) this.missed++;
    if (this.#caughtUp || this.#divider < 0) this.#divider = m.seq - 1;
    this.#caughtUp = false;
  }

  /** The reader wrote something: everything before it counts as read. */
  sent() {
    this.#divider = -1;
    return this.latest({ smooth: false });
  }

  /** The mark moved on another device. */
  readElsewhere() {
    const { room } = this.#ui;
    if (room.unread > 0) return;
    this.missed = 0;
    this.update();
  }

  /** To the newest message. */
  latest({ smooth = true } = {}) {
    return this.#enqueue(() => {
      const { room } = this.#ui;
      if (room.hasNewer) room.showLatest();
      this.#last = '';
      const far = this.#view.scrollHeight - this.#view.scrollTop > 4 * this.#view.clientHeight;
      if (far) this.#first = room.messages.at(-STEP)?.id ?? '';
      this.#paint();
      this.#gliding = smooth && !still();
      if (this.#gliding) {
        if (far) this.#view.scrollTop = this.#view.scrollHeight - 2.5 * this.#view.clientHeight;
        this.#view.scrollTo({ top: this.#view.scrollHeight, behavior: 'smooth' });
      } else {
        this.#view.scrollTop = this.#view.scrollHeight;
      }
      this.#measure();
    });
  }

  /** To a message, wherever it is in the history, and points it out. @param {number} seq */
  jumpTo(seq) {
    return this.#enqueue(async () => {
      const { room } = this.#ui;
      const known = room.messages.some((m) => m.seq === seq);
      if (!known) await room.loadAround(seq);
      const i = room.messages.findIndex((m) => m.seq >= seq);
      if (i < 0 || room.messages[i].seq !== seq) return;
      const row = () => /** @type {Row | undefined} */ (this.#shown.get(room.messages[i].id));
      if (!row()) {
        this.#first = room.messages[Math.max(0, i - STEP)].id;
        this.#last = room.messages[i + STEP]?.id ?? '';
        this.#paint();
      }
      row()?.el.scrollIntoView({ block: 'center', behavior: known && !still() ? 'smooth' : 'auto' });
      row()?.el.focus({ preventScroll: true });
      row()?.el.animate?.([{ background: 'var(--_glow)' }, { background: 'transparent' }], { duration: 1600, easing: 'ease-out' });
      this.#measure();
    }).catch(this.#ui.fail);
  }

  /** The own message that ↑ edits. */
  lastOwn() {
    return this.#ui.room.messages.findLast((m) => m.mine && m.state === 'sent' && !m.deleted && m.text);
  }

  /** @param {() => unknown} f */
  #enqueue(f) {
    const done = this.#queue.then(f);
    this.#queue = done.catch(() => {});
    return done;
  }

  #listen() {
    const view = this.#view;
    view.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    // A reader who takes over ends a smooth scroll.
    for (const type of ['wheel', 'touchstart', 'pointerdown', 'keydown']) view.addEventListener(type, () => (this.#gliding = false), { passive: true });
    view.addEventListener('scrollend', () => (this.#gliding = false));
    view.addEventListener('keydown', (/** @type {KeyboardEvent} */ e) => this.#key(e));
    view.addEventListener('focusin', (/** @type {Event} */ e) => {
      const row = this.#rowOf(e);
      if (row) this.#activate(row);
    });
    view.addEventListener('pointerover', (/** @type {PointerEvent} */ e) => {
      if (e.pointerType === 'mouse' && !this.actions.busy) this.actions.show(this.#rowOf(e));
    });
    view.addEventListener('pointerleave', () => this.actions.busy || this.actions.show(null));
  }

  /** The row an event is in. By its path: what a host put into a slot is in a row, but not among its descendants. @param {Event} e @returns {Row | null} */
  #rowOf(e) {
    const path = e.composedPath();
    for (const row of this.#shown.values()) if ('message' in row && path.includes(row.el)) return row;
    return null;
  }

  /** Roving focus: one row is in the tab order. @param {Row} row */
  #activate(row) {
    this.#tabStop(row.el);
    this.actions.show(row);
  }

  /** @param {any} row */
  #tabStop(row) {
    for (const el of this.#rows.querySelectorAll('.row[tabindex="0"]')) el.tabIndex = -1;
    if (row) row.tabIndex = 0;
  }

  /** @param {KeyboardEvent} e */
  #key(e) {
    const row = this.#rowOf(e);
    if (e.key === 'Escape') this.#escape(row, e);
    else if (e.key === 'End') this.latest();
    else if (e.key === '?') this.#ui.help();
    else if (row && e.target === row.el && (e.key === 'ArrowUp' || e.key === 'ArrowDown')) this.#step(row, e.key === 'ArrowUp');
    else return;
    e.preventDefault();
  }

  /** Out of the buttons to the message, out of the messages to writing. @param {Row | null} row @param {KeyboardEvent} e */
  #escape(row, e) {
    if (row && e.target !== row.el) row.el.focus();
    else this.#ui.compose();
  }

  /** @param {Row} row @param {boolean} up */
  #step(row, up) {
    const rows = [...this.#rows.querySelectorAll('.row')];
    const next = rows[rows.indexOf(row.el) + (up ? -1 : 1)];
    next?.focus({ preventScroll: true });
    next?.scrollIntoView({ block: 'nearest' });
  }

  /** The first time there is something to show: at what is unread, else, and for somebody new, at the end. */
  #place() {
    const { room } = this.#ui;
    if (room.unread > 0 && room.readSeq > 0) {
      this.#divider = room.readSeq;
      // The place between read and unread may lie before the first page, but not for ever.
      if (room.hasOlder && (room.messages[0]?.seq ?? 0) > room.readSeq && room.messages.length < MAX_ROWS - STEP) {
        room.loadOlder().catch(() => {});
        return;
      }
    }
    this.#placed = true;
    this.#paint();
    const divider = this.#shown.get('unread')?.el;
    if (divider) {
      this.missed = room.unread;
      this.#view.scrollTop = divider.offsetTop - this.#view.clientHeight / 4;
    } else {
      this.#view.scrollTop = this.#view.scrollHeight;
    }
    this.#measure();
  }

  /** @param {() => void} change */
  #move(change) {
    const stick = this.atEnd || this.#gliding;
    const anchor = stick ? null : this.#anchor();
    change();
    if (anchor?.el.isConnected) this.#view.scrollTop += anchor.el.getBoundingClientRect().top - anchor.top;
    else if (this.#gliding) this.#view.scrollTo({ top: this.#view.scrollHeight, behavior: 'smooth' });
    else if (stick) this.#view.scrollTop = this.#view.scrollHeight;
    this.#measure();
  }

  /** The first message the reader sees, and where. */
  #anchor() {
    const { top } = this.#view.getBoundingClientRect();
    for (const row of this.#rows.children) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top && row.classList.contains('row')) return { el: row, top: box.top };
    }
    return null;
  }

  #scrolled() {
    this.#measure();
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    if (this.#gliding) return;
    if (scrollTop < NEAR) this.#older();
    else if (scrollHeight - scrollTop - clientHeight < NEAR) this.#newer();
  }

  #older() {
    const { room } = this.#ui;
    const i = room.messages.findIndex((m) => m.id === this.#first);
    if (i > 0) {
      this.#first = room.messages[Math.max(0, i - STEP)].id;
      this.#move(() => this.#paint('up'));
    } else if (room.hasOlder && !this.#loading) {
      this.#load(() => room.loadOlder());
    }
  }

  #newer() {
    const { room } = this.#ui;
    if (this.#last) {
      const i = room.messages.findIndex((m) => m.id === this.#last);
      this.#last = room.messages[i + STEP]?.id ?? '';
      this.#move(() => this.#paint('down'));
    } else if (room.hasNewer && !this.#loading) {
      this.#load(() => room.loadNewer());
    }
  }

  /** @param {() => Promise<void>} load */
  #load(load) {
    this.#loading = true;
    this.update();
    load().catch((e) => e.code === 'disconnected' || this.#ui.fail(e)).finally(() => {
      this.#loading = false;
      this.update();
    });
  }

  /** Where the reader is, and what follows from it. */
  #measure() {
    const { scrollTop, scrollHeight, clientHeight } = this.#view;
    this.atEnd = !this.#last && !this.#ui.room.hasNewer && scrollHeight - scrollTop - clientHeight < END;
    if (this.atEnd) {
      this.missed = 0;
      if (document.visibilityState === 'visible') this.#caughtUp = true;
      this.onRead();
    }
    this.#jump.hidden = this.atEnd || !this.#placed || this.#gliding;
    const { t } = this.#ui;
    const label = this.missed ? t('jumpCount', { n: this.missed }) : '';
    if (this.#jump.firstChild.textContent !== label) this.#jump.firstChild.textContent = label;
    this.#jump.setAttribute('aria-label', label || t('jump'));
    this.#jump.classList.toggle('count', !!this.missed);
  }

  /**
   * The part of the messages that is in the DOM: from #first to #last, and when
   * that is too much, without the end that is farther from the reader.
   * @param {'up' | 'down' | undefined} direction
   */
  #window(direction) {
    const all = this.#ui.room.messages;
    let from = all.findIndex((m) => m.id === this.#first);
    let to = this.#last ? all.findIndex((m) => m.id === this.#last) + 1 : all.length;
    if (to === 0) to = all.length;
    if (from < 0) from = Math.max(0, to - 2 * STEP);
    // What was loaded before the first one comes in; further steps come by scrolling.
    else if (from > 0 && from <= STEP && this.#view.scrollTop < NEAR && !this.atEnd) from = 0;
    if (to - from > MAX_ROWS) {
      const { scrollTop, scrollHeight, clientHeight } = this.#view;
      const upper = direction ? direction === 'up' : !this.atEnd && scrollTop + clientHeight / 2 < scrollHeight / 2;
      if (upper) to = from + MAX_ROWS;
      else from = to - MAX_ROWS;
    }
    this.#first = all[from]?.id ?? '';
    this.#last = to < all.length ? all[to - 1].id : '';
    return all.slice(from, to);
  }

  /** @param {'up' | 'down'} [direction] */
  #paint(direction) {
    const { room } = this.#ui;
    const messages = this.#window(direction);
    /** @type {[string, () => {el: HTMLElement}][]} */
    const items = [];
    /** @type {Message | null} */
    let before = null;
    const now = Date.now();
    for (const m of messages) {
      const newDay = !before || midnight(before.at) !== midnight(m.at);
      if (newDay) items.push(['d' + midnight(m.at), () => this.#separator('day', dayName(this.#ui, m.at, now))]);
      const divided = this.#divider >= 0 && m.seq > this.#divider && (before?.seq ?? 0) <= this.#divider && !m.mine;
      if (divided && !items.some(([key]) => key === 'unread')) items.push(['unread', () => this.#separator('unread', this.#ui.t('newMessages'))]);
      const head = newDay || divided || before?.from.id !== m.from.id || m.at - (before?.at ?? 0) > GROUP_MS;
      items.push([m.id, () => this.#row(m, head)]);
      before = m;
    }
    this.#reconcile(items);
    this.#top.replaceChildren(...this.#header(room.messages[0]?.id === messages[0]?.id));
  }

  /** @param {boolean} whole the window begins where the loaded messages begin */
  #header(whole) {
    const { room, t } = this.#ui;
    if (!room.loaded || room.messages.length === 0) return [];
    if (room.hasOlder || !whole) return [h(this.#loading ? 'div.spinner.on' : 'div.spinner', { role: 'img', 'aria-label': t('loadingOlder') })];
    return [h('p.beginning', null, t('beginning', { name: room.name }))];
  }

  /** @param {[string, () => {el: HTMLElement}][]} items */
  #reconcile(items) {
    const wanted = new Set(items.map(([key]) => key));
    for (const [key, { el }] of this.#shown) {
      if (wanted.has(key)) continue;
      if (this.actions.row?.el === el) this.actions.show(null);
      el.remove();
      this.#shown.delete(key);
    }
    let at = this.#rows.firstChild;
    for (const [key, make] of items) {
      const known = this.#shown.get(key);
      const item = known && !('message' in known) ? known : make();
      this.#shown.set(key, item);
      if (item.el === at) at = at.nextSibling;
      else this.#rows.insertBefore(item.el, at);
    }
    // Until somebody walks the list, its place in the tab order is the newest message.
    if (!this.#rows.contains(this.#ui.root.activeElement)) this.#tabStop([...this.#rows.querySelectorAll('.row')].at(-1));
  }

  /** @param {Message} m @param {boolean} head */
  #row(m, head) {
    const known = /** @type {Row | undefined} */ (this.#shown.get(m.id));
    const row = known ?? newRow();
    updateRow(row, m, head, this.#ui, (seq) => this.jumpTo(seq));
    if (!known && this.#placed && this.atEnd) row.el.classList.add('enter');
    return row;
  }

  /** @param {string} kind @param {string} label */
  #separator(kind, label) {
    return { el: h(`div.${kind}`, { role: 'separator', part: kind, 'aria-label': label }, h('span', null, label)) };
  }
}
