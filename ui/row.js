/** One message as DOM. */

import { h, icon, iconButton } from './dom.js';
import { reason } from './strings.js';
import { excerpt, renderText } from './text.js';
import { clockTime, hue, initials, knownPeople } from './ui.js';

/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./ui.js').UI} UI */
/** @typedef {{el: HTMLElement, content: HTMLElement, avatar: HTMLElement, message: Message | null, head: boolean, quoted: string}} Row what it shows; `quoted` is what it shows of other things than its message */

/** @returns {Row} */
export function newRow() {
  const avatar = h('div.avatar', { part: 'avatar', 'aria-hidden': 'true' });
  const content = h('div.content');
  const el = h('div.row', { part: 'message', role: 'article', tabindex: -1 }, avatar, content);
  return { el, content, avatar, message: null, head: false, quoted: '' };
}

/**
 * Makes the row show the message. Focus inside survives.
 * @param {Row} row @param {Message} m
 * @param {boolean} head first of its sender's group: shows who and when
 * @param {UI} ui @param {(seq: number) => void} jump
 */
export function updateRow(row, m, head, ui, jump) {
  const original = m.replyTo ? ui.room.message(m.replyTo) : undefined;
  const quoted = (original ? original.seq + original.text + original.deleted : '') + (m.state === 'pending' ? ui.chat.status : '');
  if (row.message === m && row.head === head && row.quoted === quoted) return;
  Object.assign(row, { message: m, head, quoted });
  row.el.className = ['row', m.mine && 'mine', head && 'head', m.state, m.deleted && 'gone'].filter(Boolean).join(' ');
  row.el.dataset.seq = String(m.seq);
  row.el.setAttribute('aria-label', `${m.mine ? ui.t('youName') : m.from.name}, ${clockTime(ui, m.at)}`);
  row.avatar.textContent = head && !m.mine ? initials(m.from.name) : '';
  row.avatar.style.setProperty('--hue', String(hue(m.from.id)));
  const focused = ui.root.activeElement;
  const key = focused instanceof HTMLElement && row.content.contains(focused) ? focused.dataset.key : undefined;
  row.content.replaceChildren(...parts(m, head, original, ui, jump));
  if (key) /** @type {HTMLElement | null} */ (row.content.querySelector(`[data-key="${CSS.escape(key)}"]`))?.focus();
}

/** @param {Message} m @param {boolean} head @param {Message | undefined} original @param {UI} ui @param {(seq: number) => void} jump */
function parts(m, head, original, ui, jump) {
  const time = h('time', { datetime: new Date(m.at).toISOString(), title: new Date(m.at).toLocaleString(ui.lang) }, clockTime(ui, m.at));
  const meta = head ? h('div.meta', null, m.mine ? null : h('bdi.name', null, m.from.name), time) : null;
  const bubble = h('div.bubble', { part: m.mine ? 'bubble bubble-mine' : 'bubble' });
  if (m.replyTo && !m.deleted) bubble.append(quote(m, original, ui, jump));
  bubble.append(body(m, ui));
  return [meta, bubble, m.reactions.length ? reactions(m, ui) : null, state(m, ui)].filter((n) => n !== null);
}

/** @param {Message} m @param {UI} ui */
function body(m, ui) {
  if (m.deleted) return h('div.text.quiet', null, ui.t('deleted'));
  if (!m.text) return h('div.text.quiet', null, ui.t('attachment'));
  const text = h('div.text', { dir: 'auto' });
  // A few emoji and nothing else are shown large.
  if (/^(\p{Extended_Pictographic}[\u{1f3fb}-\u{1f3ff}\u200d\ufe0f\p{Extended_Pictographic}]*\s*){1,3}$/u.test(m.text) && m.text.length < 40) text.classList.add('big');
  text.append(renderText(m.text, { names: knownPeople(ui).map((u) => u.name), me: ui.chat.user?.name }));
  if (m.edited) text.append(h('span.edited', null, ` (${ui.t('edited')})`));
  return text;
}

/** @param {Message} m @param {Message | undefined} original @param {UI} ui @param {(seq: number) => void} jump */
function quote(m, original, ui, jump) {
  const name = original && h('bdi.name', null, original.mine ? ui.t('youName') : original.from.name);
  const text = !original ? ui.t('originalGone') : original.deleted ? ui.t('deleted') : excerpt(original.text) || ui.t('attachment');
  return h('button.quote', { type: 'button', part: 'quote', 'data-key': 'quote', onclick: () => jump(m.replyTo) },
    name, h('span.excerpt', { dir: 'auto' }, text));
}

/** @param {Message} m @param {UI} ui */
function reactions(m, ui) {
  const names = new Map(knownPeople(ui).map((u) => [u.id, u.name]));
  return h('div.reactions', { part: 'reactions' }, ...m.reactions.map((r) => {
    const known = r.users.map((id) => (id === ui.chat.user?.id ? ui.t('you') : names.get(id))).filter(Boolean).slice(0, 10);
    const list = known.join(', ');
    const people = known.length && r.count > known.length ? ui.t('andMore', { names: list, n: r.count - known.length }) : list;
    const label = ui.t('reacted', { emoji: r.emoji, n: r.count, names: people });
    const toggle = () => ui.room.react(m.seq, r.emoji, !r.mine).catch(ui.fail);
    return h('button.reaction', {
      type: 'button', 'aria-pressed': String(r.mine), 'aria-label': label, title: people, 'data-key': 'r' + r.emoji, onclick: toggle,
    }, r.emoji, h('span.count', null, String(r.count)));
  }));
}

/** What is to be said of a message that is not sent. @param {Message} m @param {UI} ui */
function state(m, ui) {
  if (m.state === 'pending') {
    const label = ui.t(ui.chat.status === 'open' ? 'sending' : 'waiting');
    return h('div.state', null, icon('clock'), h('span', null, label));
  }
  if (m.state !== 'failed') return null;
  const why = m.error ? ' ' + reason(ui.t, m.error) : '';
  return h('div.state.bad', null, icon('alert'), h('span', null, ui.t('notSent') + why),
    h('button.link', { type: 'button', 'data-key': 'retry', onclick: () => ui.room.retry(m.key).catch(() => {}) }, ui.t('retry')),
    h('button.link', { type: 'button', 'data-key': 'discard', onclick: () => ui.room.discard(m.key) }, ui.t('discard')));
}

const QUICK = ['👍', '❤️', '😂', '🎉', '👀', '🙏'];

/** The buttons on a message; one set, which moves to the message that is looked at. */
export class Actions {
  /** @type {Row | null} */
  row = null;
  #ui;
  el;
  #quick;
  #own;
  #delete;
  #place;
  #bar;

  /** @param {UI} ui */
  constructor(ui) {
    this.#ui = ui;
    const { t } = ui;
    this.#place = h('div.place');
    this.#quick = h('div.quick', { role: 'group', 'aria-label': t('react'), hidden: true }, ...QUICK.map((emoji) =>
      h('button.icon-button', { type: 'button', 'aria-label': t('reactWith', { emoji }), onclick: () => this.#react(emoji) }, emoji)));
    this.#delete = iconButton('trash', t('delete'), () => this.#remove());
    this.#own = h('span.own', null, iconButton('edit', t('edit'), () => this.#use((m) => ui.edit(m))), this.#delete);
    this.#bar = h('div.bar', null,
      iconButton('smile', t('react'), () => this.#openQuick()),
      iconButton('reply', t('reply'), () => this.#use((m) => ui.reply(m))),
      this.#own, h('slot', { name: 'message-actions' }));
    this.el = h('div.actions', { part: 'message-actions', role: 'group', 'aria-label': t('actions') }, this.#quick, this.#bar);
    this.#place.append(this.el);
  }

  /** The message they are for. */
  get message() {
    return this.row?.message ?? null;
  }

  /** Moves to a row, or away. @param {Row | null} row */
  show(row) {
    if (row?.message?.state !== 'sent' || row.message.deleted) row = null;
    if (row === this.row && this.el.isConnected) return;
    this.row = row;
    this.#calm();
    if (!row) this.#place.remove();
    else {
      this.#own.hidden = !row.message?.mine;
      row.el.append(this.#place);
      this.#fit();
    }
  }

  /** Shifts them into view when they stand out at a side. */
  #fit() {
    this.el.style.translate = '';
    const room = this.el.closest('.view')?.getBoundingClientRect();
    const box = this.el.getBoundingClientRect();
    if (!room) return;
    const shift = Math.min(0, room.right - 8 - box.right) + Math.max(0, room.left + 8 - box.left);
    if (shift) this.el.style.translate = `${shift}px 0`;
  }

  /** Does somebody use them right now? */
  get busy() {
    return !this.#quick.hidden || this.el.contains(this.#ui.root.activeElement);
  }

  #calm() {
    this.#setQuick(false);
    this.#delete.classList.remove('sure');
    this.#delete.setAttribute('aria-label', this.#ui.t('delete'));
  }

  #openQuick() {
    this.#setQuick(true);
    this.#quick.querySelector('button')?.focus();
  }

  /** @param {boolean} open */
  #setQuick(open) {
    this.#quick.hidden = !open;
    this.#bar.hidden = open;
    if (this.el.isConnected) this.#fit();
  }

  /** @param {string} emoji */
  #react(emoji) {
    this.#use((m) => {
      const had = m.reactions.find((r) => r.emoji === emoji)?.mine;
      this.#ui.room.react(m.seq, emoji, !had).catch(this.#ui.fail);
      this.row?.el.focus();
    });
  }

  /** The first press asks, the second does it. */
  #remove() {
    const button = this.#delete;
    if (!button.classList.contains('sure')) {
      button.classList.add('sure');
      button.dataset.ask = this.#ui.t('confirmDelete');
      button.setAttribute('aria-label', this.#ui.t('confirmDelete'));
      return;
    }
    this.#use((m) => {
      this.row?.el.focus();
      this.#ui.room.delete(m.seq).catch(this.#ui.fail);
    });
  }

  /** @param {(m: Message) => void} f */
  #use(f) {
    const m = this.message;
    if (m) f(m);
    this.#calm();
  }
}
