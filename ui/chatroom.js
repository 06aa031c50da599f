/**
 * `<chat-room room="lobby">`: a whole chat room as one element.
 *
 * Attributes: `room`; `lang` (default: the page's, then the browser's; Chinese and
 * English are here); `theme`: `light`, `dark` or by default what the system says.
 * Slots: header, empty, composer-start, composer-end, message-actions. Every region
 * has a `part`, every colour and size a `--chat-*` variable (styles.js).
 */

import { connect } from './client.js';
import { banner, header, helpDialog, pane, peoplePanel, typingLine, voice } from './chrome.js';
import { Composer } from './composer.js';
import { h } from './dom.js';
import { translator } from './strings.js';
import { sheet } from './styles.js';
import { Timeline } from './timeline.js';

/** @typedef {import('./client.js').Chat} Chat */
/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./strings.js').Strings} Strings */
/** @typedef {import('./ui.js').UI} UI */

/** The connection that the page's elements share while there are any. @type {Chat | null} */
let shared = null;
let users = 0;
/** How many elements show a room of the shared connection; the last one to go leaves it. @type {Map<import('./room.js').Room, number>} */
const shows = new Map();

export class ChatRoom extends HTMLElement {
  static observedAttributes = ['room', 'lang', 'theme'];

  /** @type {Chat | null} */
  #own = null;
  /** @type {Partial<Strings>} */
  #strings = {};
  #root = this.attachShadow({ mode: 'open' });
  /** @type {{ui: UI, timeline: Timeline, composer: Composer, close: () => void} | null} */
  #open = null;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [sheet()];
  }

  /** The room's name. */
  get room() {
    return this.getAttribute('room') ?? '';
  }

  set room(name) {
    this.setAttribute('room', name);
  }

  /** The connection: one for the page unless the host gives its own, which it then closes itself. @returns {Chat | null} */
  get chat() {
    return this.#own ?? shared;
  }

  set chat(chat) {
    this.#restart(() => (this.#own = chat));
  }

  /** Words that differ from the language's own. @returns {Partial<Strings>} */
  get strings() {
    return this.#strings;
  }

  set strings(strings) {
    this.#restart(() => (this.#strings = strings));
  }

  /** The message whose actions are shown: what a button in the slot message-actions is about. @returns {Message | null} */
  get activeMessage() {
    return this.#open?.timeline.actions.message ?? null;
  }

  /** Adds rules to the element's own. @param {string | CSSStyleSheet} css */
  addStyles(css) {
    let added = css;
    if (typeof added === 'string') {
      added = new CSSStyleSheet();
      added.replaceSync(/** @type {string} */ (css));
    }
    this.#root.adoptedStyleSheets = [...this.#root.adoptedStyleSheets, added];
  }

  /** Puts the cursor where one writes. */
  focus() {
    this.#open?.composer.focus();
  }

  connectedCallback() {
    users++;
    this.#start();
  }

  disconnectedCallback() {
    this.#stop();
    users--;
    // Not at once: an element that is moved is taken out and put back.
    queueMicrotask(() => {
      if (users > 0 || !shared) return;
      shared.close();
      shared = null;
    });
  }

  /** @param {string} name @param {string | null} before @param {string | null} value */
  attributeChangedCallback(name, before, value) {
    if (name !== 'theme' && before !== value) this.#restart(() => {});
  }

  /** @param {() => void} change */
  #restart(change) {
    this.#stop();
    change();
    this.#start();
  }

  #start() {
    if (!this.isConnected || !this.room || this.#open) return;
    const chat = this.#own ?? (shared ??= connect());
    const lang = this.lang || this.closest('[lang]')?.getAttribute('lang') || document.documentElement.lang || navigator.language;
    /** @type {UI} */
    const ui = {
      chat, room: chat.room(this.room), lang, t: translator(lang, this.#strings), root: this.#root,
      fail: (e) => composer.fail(e),
      compose: () => composer.focus(),
      reply: (m) => composer.reply(m),
      edit: (m) => composer.edit(m),
      help: () => help.showModal(),
    };
    const timeline = new Timeline(ui, { onRead: () => this.#read(ui) });
    const composer = new Composer(ui, { sent: () => void timeline.sent(), lastOwn: () => timeline.lastOwn() });
    const help = helpDialog(ui);
    const close = this.#assemble(ui, timeline, composer, help);
    this.#open = { ui, timeline, composer, close };
    shows.set(ui.room, (shows.get(ui.room) ?? 0) + 1);
  }

  #stop() {
    if (!this.#open) return;
    const { ui, close } = this.#open;
    close();
    this.#open = null;
    this.#root.replaceChildren();
    shows.set(ui.room, (shows.get(ui.room) ?? 1) - 1);
    // Not at once: a change of language stops and starts. In a connection of the host's own, the rooms are the host's.
    queueMicrotask(() => {
      if (shows.get(ui.room)) return;
      shows.delete(ui.room);
      if (ui.chat === shared) ui.room.leave();
    });
  }

  /** The mark moves only when somebody can see the messages. @param {UI} ui */
  #read(ui) {
    if (document.visibilityState === 'visible' && ui.room.loaded) ui.room.markRead();
  }

  /** @param {UI} ui @param {Timeline} timeline @param {Composer} composer @param {HTMLElement} help @returns {() => void} */
  #assemble(ui, timeline, composer, help) {
    const { chat, room } = ui;
    const people = peoplePanel(ui, () => showPeople(false));
    const head = header(ui, () => showPeople(people.el.hidden));
    const typing = typingLine(ui);
    const status = banner(ui);
    const spoken = voice(ui);
    const instead = pane(ui);
    /** @param {boolean} on */
    const showPeople = (on) => {
      people.el.hidden = !on;
      people.update();
      head.people.setAttribute('aria-expanded', String(on));
      (on ? people.el.querySelector('button') : head.people).focus();
    };
    const updatePeople = () => [head, people, typing].forEach((p) => p.update());
    const update = () => {
      instead.update();
      timeline.update();
      const out = room.state === 'refused' || room.state === 'removed';
      timeline.el.hidden = out;
      composer.enable(!out);
    };
    const updateStatus = () => [status, timeline].forEach((p) => p.update());
    const seen = () => timeline.draw();
    /** @type {[EventTarget, string, (e: any) => void][]} */
    const hooks = [
      [chat, 'status', updateStatus], [chat, 'user', () => composer.restore()],
      [room, 'change', update], [room, 'state', update], [room, 'people', updatePeople], [room, 'read', () => timeline.readElsewhere()],
      [room, 'message', (e) => [timeline, spoken].forEach((p) => p.arrived(e.message))],
      [document, 'visibilitychange', seen],
    ];
    for (const [target, type, f] of hooks) target.addEventListener(type, f);
    const main = h('div.main', null, timeline.el, instead.el);
    this.#root.replaceChildren(h('section.room', { part: 'room', 'aria-label': ui.t('room', { name: room.name }) },
      head.el, status.el, h('div.middle', null, h('div.column', null, main, typing.el, composer.el), people.el), spoken.el, help));
    updatePeople();
    updateStatus();
    update();
    return () => {
      for (const [target, type, f] of hooks) target.removeEventListener(type, f);
      for (const p of [timeline, composer, status, spoken]) p.close();
    };
  }
}

customElements.define('chat-room', ChatRoom);
