/** Where one writes: drafts, replies, edits, mentions, and an Enter key that knows input methods. */

import { h, icon, iconButton } from './dom.js';
import { reason } from './strings.js';
import { excerpt } from './text.js';
import { coarse, initials, hue, knownPeople } from './ui.js';

/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./ui.js').UI} UI */

/** Safari ends a composition before the keydown of the Enter that ended it. */
const AFTER_COMPOSITION_MS = 40;
/** The room left is told when less than this many characters are. */
const TELL_LEFT = 200;
const MAX_CHOICES = 6;
const NOTICE_MS = 6000;

export class Composer {
  #ui;
  #sent;
  #lastOwn;
  #input;
  #send;
  #context;
  #left;
  #notice;
  #choices;
  /** What the text is for: an answer to or an edit of a message. @type {{kind: 'reply' | 'edit', message: Message} | null} */
  #about = null;
  /** The text that an edit pushed aside. */
  #aside = '';
  #composing = false;
  #composedAt = -Infinity;
  #chosen = 0;
  /** @type {any} */
  #noticeTimer = 0;

  /** @param {UI} ui @param {{sent: () => void, lastOwn: () => Message | undefined}} on */
  constructor(ui, { sent, lastOwn }) {
    this.#ui = ui;
    this.#sent = sent;
    this.#lastOwn = lastOwn;
    const { t } = ui;
    const label = t('placeholder', { name: ui.room.name });
    this.#input = h('textarea', {
      part: 'input', rows: 1, dir: 'auto', placeholder: label, 'aria-label': label, 'aria-autocomplete': 'list', 'aria-controls': 'choices',
      enterkeyhint: coarse() ? 'enter' : 'send', autocomplete: 'off',
    });
    this.#send = h('button.send', { type: 'submit', part: 'send', 'aria-label': t('send'), title: t('send') }, icon('send'));
    this.#context = h('div.context', { part: 'context', hidden: true });
    this.#left = h('div.left', { 'aria-live': 'polite', hidden: true });
    this.#notice = h('div.notice', { part: 'notice', role: 'alert' });
    this.#choices = h('ul.choices', { id: 'choices', role: 'listbox', part: 'choices', 'aria-label': t('mentions'), hidden: true });
    this.el = h('form.composer', { part: 'composer', novalidate: true },
      this.#notice, this.#choices, this.#context,
      h('div.line', null, h('slot', { name: 'composer-start' }), h('div.field', null, this.#input, this.#left), h('slot', { name: 'composer-end' }), this.#send));
    this.#listen();
    this.restore();
  }

  close() {
    clearTimeout(this.#noticeTimer);
  }

  focus() {
    this.#input.focus();
  }

  /** @param {boolean} on whether one can write here at all */
  enable(on) {
    this.#input.disabled = !on;
    this.#update();
  }

  /** @param {Message} message */
  reply(message) {
    if (this.#about?.kind === 'edit') this.#cancel();
    this.#setAbout({ kind: 'reply', message });
  }

  /** @param {Message} message */
  edit(message) {
    if (this.#about?.kind !== 'edit') this.#aside = this.#input.value;
    this.#input.value = message.text;
    this.#setAbout({ kind: 'edit', message });
  }

  /** Shows why something did not work. @param {any} error */
  fail(error) {
    this.#notice.textContent = this.#ui.t('error', { reason: reason(this.#ui.t, error) });
    clearTimeout(this.#noticeTimer);
    this.#noticeTimer = setTimeout(() => (this.#notice.textContent = ''), NOTICE_MS);
  }

  /** The draft of this user and room. */
  restore() {
    const draft = this.#draftKey && this.#ui.chat.env.storage?.getItem(this.#draftKey);
    if (draft && !this.#input.value) this.#input.value = draft;
    this.#update();
  }

  get #draftKey() {
    const { chat, room } = this.#ui;
    return chat.user ? ['chatroom-draft', chat.url, chat.user.id, room.name].map(encodeURIComponent).join('/') : '';
  }

  #saveDraft() {
    const { storage } = this.#ui.chat.env;
    if (!this.#draftKey || this.#about?.kind === 'edit') return;
    try {
      if (this.#input.value) storage?.setItem(this.#draftKey, this.#input.value);
      else storage?.removeItem(this.#draftKey);
    } catch {
      // storage is full: the draft lives as long as the page
    }
  }

  #listen() {
    const input = this.#input;
    input.addEventListener('input', () => {
      if (input.value.trim()) this.#ui.room.typing();
      this.#update();
      this.#saveDraft();
    });
    input.addEventListener('compositionstart', () => (this.#composing = true));
    input.addEventListener('compositionend', (/** @type {Event} */ e) => {
      this.#composing = false;
      this.#composedAt = e.timeStamp;
      this.#update();
    });
    input.addEventListener('keydown', (/** @type {KeyboardEvent} */ e) => this.#key(e));
    input.addEventListener('click', () => this.#offer());
    input.addEventListener('blur', () => this.#offer(true));
    this.el.addEventListener('submit', (/** @type {Event} */ e) => {
      e.preventDefault();
      this.#submit();
      this.focus();
    });
    // The button must not take the focus: on a phone the keyboard would close.
    this.#send.addEventListener('pointerdown', (/** @type {Event} */ e) => e.preventDefault());
  }

  /** @param {KeyboardEvent} e */
  #key(e) {
    const inComposition = this.#composing || e.isComposing || e.keyCode === 229 || e.timeStamp - this.#composedAt <= AFTER_COMPOSITION_MS;
    if (inComposition) return;
    if (!this.#choices.hidden && this.#choose(e.key)) e.preventDefault();
    else if (e.key === 'Enter' && !e.shiftKey && !e.altKey && (!coarse() || e.ctrlKey || e.metaKey)) {
      e.preventDefault();
      this.#submit();
    } else if (e.key === 'Escape' && this.#about) {
      e.preventDefault();
      this.#cancel();
    } else if (e.key === 'ArrowUp' && !this.#input.value && !this.#about) {
      const last = this.#lastOwn();
      if (!last) return;
      e.preventDefault();
      this.edit(last);
    }
  }

  #submit() {
    const { room } = this.#ui;
    const text = this.#input.value.trim();
    const about = this.#about;
    if (about?.kind === 'edit') {
      if (text && text !== about.message.text) {
        room.edit(about.message.seq, text).then(() => {}, (e) => this.fail(e));
      }
      this.#cancel();
      return;
    }
    if (!text || this.#input.disabled) return;
    const before = room.messages.length;
    room.send(text, { replyTo: about?.message.seq }).catch((e) => {
      // What became a message says there what is wrong with it; what did not comes back.
      if (e.code !== 'too_long' && e.code !== 'outbox_full' && e.code !== 'empty_message') return;
      if (room.messages.length > before) return;
      this.#input.value ||= text;
      this.#update();
      this.#saveDraft();
      this.fail(e);
    });
    this.#input.value = '';
    this.#setAbout(null);
    this.#saveDraft();
    this.#sent();
  }

  #cancel() {
    if (this.#about?.kind === 'edit') this.#input.value = this.#aside;
    this.#aside = '';
    this.#setAbout(null);
  }

  /** @param {{kind: 'reply' | 'edit', message: Message} | null} about */
  #setAbout(about) {
    this.#about = about;
    const { t } = this.#ui;
    this.#context.hidden = !about;
    if (about) {
      const { kind, message } = about;
      const name = message.mine ? t('youName') : message.from.name;
      this.#context.replaceChildren(icon(kind), h('div', null,
        h('strong', null, kind === 'edit' ? t('editing') : t('replyingTo', { name })),
        h('span.excerpt', { dir: 'auto' }, excerpt(message.text))), iconButton('close', t('cancel'), () => {
        this.#cancel();
        this.focus();
      }));
      this.focus();
    }
    const label = about?.kind === 'edit' ? t('save') : t('send');
    this.#send.replaceChildren(icon(about?.kind === 'edit' ? 'check' : 'send'));
    this.#send.setAttribute('aria-label', label);
    this.#send.title = label;
    this.#update();
  }

  /** Size, what is left, whether there is something to send, whom to mention. */
  #update() {
    const input = this.#input;
    input.style.height = 'auto';
    input.style.height = `${input.scrollHeight + input.offsetHeight - input.clientHeight}px`; // with its borders, or it would scroll
    const { text_runes: runes, text_bytes: bytes } = this.#ui.chat.limits;
    const text = input.value.trim();
    // Only a long text is measured: an encoder at every key is waste.
    const left = text.length * 3 < Math.min(runes, bytes) ? Infinity : Math.min(runes - [...text].length, bytes - new TextEncoder().encode(text).length);
    this.#left.hidden = left > TELL_LEFT;
    this.#left.textContent = left > TELL_LEFT ? '' : this.#ui.t('left', { n: left });
    this.#left.classList.toggle('bad', left < 0);
    this.#send.disabled = !text || left < 0 || input.disabled;
    this.#offer();
  }

  /** Offers people when the cursor is in an @word. @param {boolean} [away] */
  #offer(away = false) {
    const input = this.#input;
    const word = /(?:^|[^\p{L}\p{N}_])@([^\s@]{0,30})$/u.exec(input.value.slice(0, input.selectionStart))?.[1];
    const me = this.#ui.chat.user?.id;
    const found = away || word === undefined || this.#composing ? [] : knownPeople(this.#ui)
      .filter((u) => u.id !== me && u.name.toLowerCase().includes(word.toLowerCase()))
      .slice(0, MAX_CHOICES);
    // A name that is written out needs no choosing: Enter sends.
    if (found.length === 1 && found[0].name.toLowerCase() === word?.toLowerCase()) found.pop();
    this.#chosen = 0;
    this.#choices.hidden = !found.length;
    this.#choices.replaceChildren(...found.map((u, i) => {
      const face = h('span.avatar', { 'aria-hidden': 'true' }, initials(u.name));
      face.style.setProperty('--hue', String(hue(u.id)));
      // Before the blur that the press causes.
      const pick = (/** @type {Event} */ e) => {
        e.preventDefault();
        this.#insert(u.name);
      };
      return h('li', { id: `choice-${i}`, role: 'option', 'data-name': u.name, onpointerdown: pick }, face, h('bdi', null, u.name));
    }));
    this.#mark();
  }

  #mark() {
    const open = !this.#choices.hidden;
    for (const [i, li] of [...this.#choices.children].entries()) li.setAttribute('aria-selected', String(i === this.#chosen));
    if (open) this.#input.setAttribute('aria-activedescendant', `choice-${this.#chosen}`);
    else this.#input.removeAttribute('aria-activedescendant');
  }

  /** Reports whether the key was for the list of people. @param {string} key */
  #choose(key) {
    const n = this.#choices.children.length;
    if (key === 'ArrowDown') this.#chosen = (this.#chosen + 1) % n;
    else if (key === 'ArrowUp') this.#chosen = (this.#chosen + n - 1) % n;
    else if (key === 'Enter' || key === 'Tab') this.#insert(this.#choices.children[this.#chosen].dataset.name);
    else if (key === 'Escape') this.#choices.hidden = true;
    else return false;
    this.#mark();
    return true;
  }

  /** @param {string} name */
  #insert(name) {
    const input = this.#input;
    const end = input.selectionStart;
    const start = input.value.lastIndexOf('@', end - 1);
    input.setRangeText(`@${name} `, start, end, 'end');
    this.#update();
    this.#saveDraft();
  }
}
