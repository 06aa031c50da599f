/** What stands around the messages: header, people, typing, the connection, the voice for screen readers, help. */

import { h, icon, iconButton } from './dom.js';
import { hue, initials } from './ui.js';

/** @typedef {import('./ui.js').UI} UI */
/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./strings.js').Strings} Strings */

/** A drop that heals within this is not worth a word. */
const PATIENCE_MS = 1000;
const BACK_MS = 2500;
/** New messages that come close together are spoken together. */
const SPEAK_MS = 700;

/** The room's name, who is here, help. @param {UI} ui @param {() => void} togglePeople */
export function header(ui, togglePeople) {
  const { t, room } = ui;
  const count = h('span');
  const people = h('button.people-button', { type: 'button', 'aria-expanded': 'false', onclick: togglePeople }, icon('people'), count);
  const el = h('header', { part: 'header' },
    h('slot', { name: 'header' }, h('h2', null, h('bdi', null, room.name))),
    h('div.tools', null, iconButton('help', t('help'), ui.help, { class: 'icon-button help-button' }), people));
  return {
    el, people,
    update() {
      people.hidden = !room.memberCount;
      count.textContent = String(room.memberCount);
      const label = t('peopleCount', { n: room.memberCount });
      people.title = label;
      people.setAttribute('aria-label', label);
    },
  };
}

/** The list of who is here. @param {UI} ui @param {() => void} close */
export function peoplePanel(ui, close) {
  const { t, room } = ui;
  const list = h('ul');
  const none = h('p.quiet', null, t('tooMany'));
  const el = h('aside', { part: 'people', 'aria-label': t('people'), hidden: true },
    h('div.aside-head', null, h('h2', null, t('people')), iconButton('close', t('cancel'), close)), list, none);
  el.addEventListener('keydown', (/** @type {KeyboardEvent} */ e) => e.key === 'Escape' && close());
  return {
    el,
    update() {
      if (el.hidden) return;
      none.hidden = !!room.members;
      const me = ui.chat.user?.id;
      const sorted = [...(room.members ?? [])].sort((a, b) => a.name.localeCompare(b.name, ui.lang));
      list.replaceChildren(...sorted.map((u) => {
        const face = h('span.avatar', { 'aria-hidden': 'true' }, initials(u.name));
        face.style.setProperty('--hue', String(hue(u.id)));
        return h('li', null, face, h('bdi', null, u.name), u.id === me && h('span.quiet', null, t('you')));
      }));
    },
  };
}

/** Who is typing, in a line that is always there. @param {UI} ui */
export function typingLine(ui) {
  const text = h('span');
  const el = h('div.typing', { part: 'typing' }, h('span.dots', { 'aria-hidden': 'true' }, h('i'), h('i'), h('i')), text);
  return {
    el,
    update() {
      const [a, b, c] = ui.room.typists.map((u) => u.name);
      el.classList.toggle('on', !!a);
      if (a) text.textContent = c ? ui.t('typingMany') : b ? ui.t('typing2', { a, b }) : ui.t('typing1', { a });
    },
  };
}

/** What the connection does, when it does not simply work. @param {UI} ui */
export function banner(ui) {
  const { chat, t } = ui;
  const words = h('span', { role: 'status' });
  // The seconds are for eyes: spoken every second they would be torture.
  const seconds = h('span.seconds', { 'aria-hidden': 'true' });
  const button = h('button.link', { type: 'button' });
  const el = h('div.banner', { part: 'banner', hidden: true }, words, seconds, button);
  let was = false;
  /** @type {any} */
  let timer = 0;

  /** @param {string} text @param {string} kind @param {[string, () => void] | null} [action] */
  const show = (text, kind, action = null) => {
    el.hidden = !text;
    el.dataset.kind = kind;
    if (words.textContent !== text) words.textContent = text;
    button.hidden = !action;
    if (action) [button.textContent, button.onclick] = action;
    if (kind !== 'waiting') seconds.textContent = '';
  };
  const count = () => {
    const n = Math.ceil((chat.retryAt - Date.now()) / 1000);
    seconds.textContent = n > 0 ? t('retryIn', { n }) : '';
    timer = setTimeout(count, 500);
  };
  const trouble = () => {
    const { status, reason } = chat;
    was = true;
    if (status === 'connecting') return show(t(ui.room.loaded ? 'reconnecting' : 'connecting'), 'connecting');
    const text = reason === 'offline' ? t('offline') : reason === 'going_away' ? t('restarting') : t('lost');
    show(text, 'waiting', [t('tryNow'), () => chat.retry()]);
    count();
  };
  const ended = () => {
    const key = chat.reason in { unauthorized: 1, disconnected: 1, unsupported_version: 1 } ? /** @type {keyof Strings} */ (chat.reason) : 'lost';
    show(t(key), 'closed', [t('reload'), () => location.reload()]);
  };
  return {
    el,
    close: () => clearTimeout(timer),
    update() {
      clearTimeout(timer);
      if (chat.status === 'closed') ended();
      else if (chat.status === 'open') {
        if (was) show(t('back'), 'back');
        if (was) timer = setTimeout(() => show('', ''), BACK_MS);
        was = false;
      } else if (was) trouble();
      else timer = setTimeout(trouble, PATIENCE_MS);
    },
  };
}

/** Speaks new messages of others, and nothing else. @param {UI} ui */
export function voice(ui) {
  const el = h('div.spoken', { 'aria-live': 'polite', part: 'spoken' });
  /** @type {Message[]} */
  let heard = [];
  /** @type {any} */
  let timer = 0;
  const speak = () => {
    timer = 0;
    const few = heard.length <= 3;
    const texts = few ? heard.map((m) => ui.t('said', { name: m.from.name, text: m.text })) : [ui.t('saidMany', { n: heard.length })];
    el.replaceChildren(...texts.map((text) => h('p', null, text)));
    heard = [];
  };
  return {
    el,
    close: () => clearTimeout(timer),
    /** @param {Message} m */
    arrived(m) {
      if (m.mine) return;
      heard.push(m);
      timer ||= setTimeout(speak, SPEAK_MS);
    },
  };
}

/** The keys, in a dialog. @param {UI} ui */
export function helpDialog(ui) {
  const { t } = ui;
  const keys = [['Enter', t('keyEnter')], ['Shift + Enter', t('keyShiftEnter')], ['↑', t('keyUp')], ['↑ ↓', t('keyArrows')], ['End', t('keyEnd')], ['Esc', t('keyEsc')], ['?', t('help')]];
  const el = h('dialog', { part: 'help', 'aria-label': t('help') },
    h('div.aside-head', null, h('h2', null, t('help')), iconButton('close', t('cancel'), () => el.close())),
    h('dl', null, ...keys.flatMap(([key, text]) => [h('dt', null, h('kbd', null, key)), h('dd', null, text)])));
  el.addEventListener('click', (/** @type {Event} */ e) => e.target === el && el.close());
  return el;
}

/** What is shown instead of messages. @param {UI} ui */
export function pane(ui) {
  const { t, room } = ui;
  const el = h('div.pane', { part: 'pane' });
  const name = room.name;
  /** @param {Parameters<typeof icon>[0]} i @param {string} title @param {string} text */
  const say = (i, title, text) => [h('div.pane-icon', null, icon(i)), h('p.pane-title', null, title), h('p', null, text)];
  const ghosts = () => [h('div.ghosts', { role: 'img', 'aria-label': t('loading') }, ...[0, 1, 2, 3, 4].map(() => h('div.ghost', null, h('i'), h('b'))))];
  const empty = () => [h('slot', { name: 'empty' }, ...say('bubble', t('emptyTitle'), t('emptyText', { name })))];
  let shown = '';
  return {
    el,
    update() {
      const what = room.state === 'refused' || room.state === 'removed' ? room.state : room.messages.length ? '' : room.loaded ? 'empty' : 'loading';
      el.hidden = !what;
      if (what === shown) return;
      shown = what;
      if (what === 'refused') el.replaceChildren(...say('lock', t('noRoomTitle'), t('noRoomText')));
      else if (what === 'removed') el.replaceChildren(...say('lock', t('removedTitle'), t('removedText')));
      else el.replaceChildren(...(what === 'empty' ? empty() : what ? ghosts() : []));
    },
  };
}
