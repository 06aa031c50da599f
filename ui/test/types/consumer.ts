// What a TypeScript user of the package writes; it only has to compile.

import { connect, ChatError, type Chat, type Message, type Room } from '@chatroom-go/client';
import { ChatRoom } from '@chatroom-go/client/chatroom.js';

const chat: Chat = connect({ url: '/chat/ws' });
const room: Room = chat.room('lobby');
room.addEventListener('change', () => {
  const texts: string[] = room.messages.map((m: Message) => `${m.from.name}: ${m.text} ${m.state}`);
  console.log(texts, chat.status === 'open', chat.retryAt, room.unread);
});
const seq: Promise<number> = room.send('hi', { data: { kind: 'wave' }, replyTo: 1 });
seq.catch((e: unknown) => e instanceof ChatError && e.retryAfterMs);

const element = new ChatRoom();
element.chat = chat;
element.room = 'lobby';
element.strings = { send: 'Go' };
element.addStyles('.bubble { border-radius: 0 }');

// @ts-expect-error a word that does not exist
element.strings = { sned: 'Go' };
// @ts-expect-error text is a string
room.send(5);
