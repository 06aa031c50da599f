/** The plain page at the mount's root: one room, named by `?room=`, in the browser's language or `?lang=`. */

import { ChatRoom } from './chatroom.js';

const styles = new CSSStyleSheet();
styles.replaceSync(`
  html, body { height: 100%; margin: 0; }
  body { background: #fff; }
  @media (prefers-color-scheme: dark) { body { background: #14171d; } }
  main { height: 100vh; height: 100dvh; }
  chat-room { height: 100%; }
  h1 { margin: 0; font-size: 1.0625rem; font-weight: 650; letter-spacing: -.01em; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
`);
document.adoptedStyleSheets = [styles];

const query = new URLSearchParams(location.search);
const lang = query.get('lang') ?? navigator.language;
document.documentElement.lang = lang;

const chat = /** @type {ChatRoom} */ (document.createElement('chat-room'));
chat.setAttribute('lang', lang);
const theme = query.get('theme');
if (theme) chat.setAttribute('theme', theme);
chat.room = query.get('room') || 'lobby';
document.title = chat.room;
const title = document.createElement('h1');
title.slot = 'header';
title.textContent = chat.room;
chat.append(title);
const main = document.createElement('main');
main.append(chat);
document.body.append(main);
// On a phone that would open the keyboard.
if (!matchMedia('(pointer: coarse)').matches) chat.focus();
