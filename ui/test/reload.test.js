// What a client cannot put right by itself it has loaded again (PROTOCOL.md §4 join, §6 retract).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANN, BOB, World, event, message, reconnect, texts } from './fakes.js';

const here = { room: 'lobby', member_count: 1, presence_v: 1 };
const page = (head, messages, more) => ({ ...here, head, recovered: false, messages, has_more: false, ...more });
const range = (from, to, f = message) => Array.from({ length: to - from + 1 }, (_, i) => f(from + i));
const edited = message(10, 'changed', { edited: 15 });
const retract = (seq, prev, target) => event(seq, prev, { event: 'retract', target, from: undefined, text: undefined });

/** Until a reload that is wanted has been asked for. */
const waited = (w) => w.clock.tick(1000);

test('a retracted edit that came in a page: the room is joined again without after, once', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited, message(12)], head: 15 });
  await w.say(retract(20, 15, 15));
  assert.equal(w.countOf('join'), 1, 'not at once: everybody in the room was told the same');
  await waited(w);
  const { id, ...asked } = w.asked('join');
  assert.deepEqual(asked, { op: 'join', room: 'lobby', limit: 50 });
  assert.equal(room.state, 'joined');
  await w.reply('join', page(20, [message(10), message(12)]));
  assert.deepEqual(texts(room), ['m10', 'm12']);
  await w.say(event(30, 20));
  await w.clock.tick(10_000);
  assert.deepEqual(texts(room), ['m10', 'm12', 'm30']);
  assert.equal(w.countOf('join'), 2);
});

test('several retracts in a row cause one reload, also those that come while it is asked for', async () => {
  const w = new World();
  await w.joined({ messages: [edited], head: 18 });
  await w.sayAll(retract(20, 18, 15), retract(21, 20, 16));
  await w.clock.tick(100);
  await w.say(retract(22, 21, 17));
  await waited(w);
  assert.equal(w.countOf('join'), 2);
  await w.say(retract(23, 22, 18));
  await w.reply('join', page(23, [message(10)]));
  await w.clock.tick(10_000);
  assert.equal(w.countOf('join'), 2);
});

test('a retract behind the page that was to put it right causes one more reload, and no third', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited], head: 15 });
  await w.say(retract(20, 15, 14));
  await waited(w);
  await w.reply('join', page(20, [edited]));
  await w.say(retract(21, 20, 15));
  await waited(w);
  await w.reply('join', page(21, [message(10)]));
  await w.clock.tick(10_000);
  assert.equal(w.countOf('join'), 3);
  assert.deepEqual(texts(room), ['m10']);
});

test('changes that only came as events are undone without asking', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10, 'm10', { reactions: [{ emoji: '👍', count: 1, users: ['u1'] }] })] });
  await w.sayAll(
    event(20, 10), event(21, 20, { event: 'edit', target: 10, text: 'x' }), event(22, 21, { event: 'react', target: 10, emoji: '👍', on: true }),
    event(23, 22, { event: 'react', target: 10, emoji: '👍', on: false, from: ANN }), event(24, 23, { event: 'delete', target: 10 }),
    event(25, 24, { event: 'react', target: 20, emoji: '👍', on: true }), event(26, 25, { event: 'react', target: 20, emoji: '👍', on: false }),
  );
  assert.equal(room.messages[0].deleted, true);
  await w.sayAll(...[26, 25, 21, 22, 23, 24, 20].map((target, i) => retract(30 + i, i ? 29 + i : 26, target)));
  await w.clock.tick(10_000);
  assert.equal(w.countOf('join'), 1);
  assert.deepEqual(texts(room), ['m10']);
  assert.deepEqual(room.messages[0].reactions, [{ emoji: '👍', count: 1, users: ['u1'], mine: true }]);
});

test('a change that came both ways, in a page and as its event, is not undone by the event alone', async () => {
  const shown = {
    edit: [edited, { event: 'edit', text: 'changed' }],
    delete: [message(10, '', { deleted: true }), { event: 'delete' }],
    react: [message(10, 'm10', { reactions: [{ emoji: '👍', count: 1, users: ['u2'] }] }), { event: 'react', emoji: '👍', on: true }],
    unreact: [message(10), { event: 'react', emoji: '👍', on: false }],
  };
  for (const [name, [base, change]] of Object.entries(shown)) {
    const w = new World();
    await w.joined({ messages: [base], head: 10 });
    await w.sayAll(event(15, 10, { target: 10, ...change }), retract(20, 15, 15));
    await waited(w);
    assert.equal(w.countOf('join'), 2, name);
  }
});

test('a retract of something older than all that is shown changes nothing and asks for nothing', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(100)], has_more: true });
  await w.say(retract(110, 100, 50));
  await w.clock.tick(10_000);
  assert.equal(w.countOf('join'), 1);
  assert.deepEqual(texts(room), ['m100']);
});

test('a page of history under way may show what was just retracted', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(100)], has_more: true });
  await w.say(event(110, 100, { event: 'edit', target: 10, text: 'x' }));
  room.loadOlder();
  await w.say(retract(120, 110, 110));
  await w.reply('history', { messages: [message(10, 'x', { edited: 110 })], has_more: false });
  await waited(w);
  await w.reply('join', page(120, [message(100)], { has_more: true }));
  await w.reply('history', { messages: [message(10)], has_more: false });
  assert.deepEqual(texts(room), ['m10', 'm100']);
});

test('pending and failed messages, the read mark and unsent marks survive a reload', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited, message(12)], head: 15, read: 10, unread: 1 });
  const sent = room.send('waiting');
  await w.say(retract(20, 15, 15));
  room.markRead(12);
  await waited(w);
  await w.reply('join', page(20, [message(10), message(12)], { read: 10, unread: 1 }));
  assert.deepEqual(room.messages.map((m) => [m.text, m.state]), [['m10', 'sent'], ['m12', 'sent'], ['waiting', 'pending']]);
  assert.deepEqual([room.readSeq, room.unread], [12, 0]);
  assert.equal(w.asked('read').seq, 12);
  assert.equal(w.countOf('send'), 1, 'it was asked before and is not asked twice');
  await w.reply('send', { seq: 30, stored: true });
  assert.equal(await sent, 30);
});

test('an own message acknowledged behind the page stays shown until its event comes', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited], head: 15 });
  await w.say(retract(20, 15, 15));
  await waited(w);
  room.send('mine').catch(() => {});
  const { key } = w.asked('send');
  await w.reply('send', { seq: 30, stored: true });
  await w.reply('join', page(20, [message(10)]));
  assert.deepEqual(texts(room), ['m10', 'mine']);
  await w.say(event(30, 20, { from: ANN, key, text: 'mine' }));
  assert.deepEqual(texts(room), ['m10', 'mine']);
});

test('what did not change is the same object after a reload; what came with it is announced like an event', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited], head: 15, read: 15, unread: 0 });
  await w.sayAll(event(16, 15, { data: { a: [1] } }), event(17, 16, { event: 'react', target: 16, emoji: '👍', on: true }), retract(20, 17, 15));
  const [, before] = room.messages;
  await waited(w);
  const heard = [];
  room.addEventListener('message', (e) => heard.push(e.message.text));
  const reactions = [{ emoji: '👍', count: 1, users: ['u2'] }];
  await w.reply('join', page(21, [message(10), message(16, 'm16', { data: { a: [1] }, reactions }), message(21)], { read: 15, unread: 2 }));
  assert.equal(room.messages[1], before);
  assert.deepEqual(texts(room), ['m10', 'm16', 'm21']);
  assert.deepEqual(heard, ['m21']);
  assert.equal(room.unread, 2);
});

test('a page knows better than the events before it, also where it skips some', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited], head: 15 });
  await w.sayAll(event(16, 15, { event: 'react', target: 10, emoji: '👍', on: true }), retract(20, 16, 15));
  assert.equal(room.messages[0].reactions.length, 1);
  await waited(w);
  await w.reply('join', page(25, [message(10)])); // 25 took the reaction off
  assert.deepEqual(room.messages[0].reactions, []);
});

test('older pages stay shown and are loaded again behind the new one, down to where they began', async () => {
  const w = new World();
  const room = await w.joined({ messages: range(351, 400), has_more: true });
  for (const from of [301, 251, 201]) {
    room.loadOlder();
    await w.reply('history', { messages: range(from, from + 49), has_more: true });
  }
  const lengths = new Set();
  room.addEventListener('change', () => lengths.add(room.messages.length));
  await w.say(retract(500, 400, 450));
  await waited(w);
  await w.reply('join', page(500, range(351, 400), { has_more: true }));
  assert.deepEqual([w.asked('history').before, w.asked('history').limit], [351, 100]);
  await w.reply('history', { messages: range(251, 350, (s) => message(s, s === 300 ? 'as it was' : `m${s}`)), has_more: true });
  assert.equal(room.messages.find((m) => m.seq === 300).text, 'as it was');
  assert.equal(w.asked('history').before, 251);
  const asked = w.countOf('history');
  await w.reply('history', { messages: range(151, 250).filter((m) => m.seq !== 220), has_more: true });
  assert.equal(w.countOf('history'), asked, 'no further than it was loaded');
  assert.deepEqual(room.messages.map((m) => m.seq), range(151, 400).map((m) => m.seq).filter((s) => s !== 220));
  assert.equal(room.hasOlder, true);
  assert.deepEqual([...lengths], [200, 249], 'never shorter than what the reader had');
});

test('who looks at old history stays there', async () => {
  const w = new World();
  const room = await w.joined({ messages: range(951, 1000), head: 1005, has_more: true });
  room.loadOlder();
  await w.reply('history', { messages: range(901, 950), has_more: true });
  const around = room.loadAround(20);
  await w.reply('history', { messages: [message(10), message(20, 'changed', { edited: 1005 }), message(30)], has_more: true, has_newer: true });
  await around;
  await w.say(retract(1010, 1005, 1005));
  await waited(w);
  await w.reply('join', page(1010, range(951, 1000), { has_more: true }));
  assert.deepEqual(texts(room), ['m10', 'changed', 'm30']);
  assert.equal(w.asked('history').before, 31, 'not what lies between');
  await w.reply('history', { messages: [message(10), message(20), message(30)], has_more: true });
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30']);
  assert.deepEqual([room.hasOlder, room.hasNewer], [true, true]);
  room.showLatest();
  assert.equal(room.messages.length, 50);
  assert.equal(room.hasOlder, true);
});

test('a reload that the server has no time for, or that the connection cuts, is done later', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(150)], has_more: true });
  room.loadOlder();
  await w.reply('history', { messages: [message(100, 'x', { edited: 140 })], has_more: false });
  await w.say(retract(200, 150, 140));
  await waited(w);
  await w.refuse('join', 'overloaded', { retry_after_ms: 700 });
  await w.clock.tick(700);
  assert.equal(w.countOf('join'), 3);
  await w.reply('join', page(200, [message(150)], { has_more: true }));
  await w.refuse('history', 'rate_limited', { retry_after_ms: 300 });
  await w.clock.tick(300);
  assert.equal(w.countOf('join'), 4);
  await w.reply('join', page(200, [message(150)], { has_more: true }));
  await reconnect(w); // with the older page not answered
  assert.equal(w.asked('join').after, undefined);
  await w.reply('join', page(200, [message(150)], { has_more: true }));
  await w.reply('history', { messages: [message(100)], has_more: false });
  assert.deepEqual(texts(room), ['m100', 'm150']);
  await reconnect(w);
  assert.equal(w.asked('join').after, 200);
});

test('a lower after: what is above it goes, what pages showed of it is loaded again, once', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10, 'lost edit', { edited: 25 }), message(20)], head: 28 });
  await w.say(event(30, 28));
  await reconnect(w);
  await w.reply('join', { ...here, head: 20, after: 20, recovered: true });
  assert.deepEqual(texts(room), ['lost edit', 'm20']);
  await w.say(event(40, 20, { text: 'next life' }));
  await waited(w);
  assert.equal(w.asked('join').after, undefined);
  await w.reply('join', page(40, [message(10), message(20), message(40, 'next life')]));
  await w.clock.tick(10_000);
  assert.deepEqual(texts(room), ['m10', 'm20', 'next life']);
  assert.equal(w.countOf('join'), 2);
  await w.say(event(50, 40, { from: BOB }));
  assert.equal(room.messages.length, 4);
});

test('a lower after reaches older pages too', async () => {
  const w = new World();
  const room = await w.joined({ messages: range(151, 200), head: 300, has_more: true });
  room.loadOlder();
  await w.reply('history', { messages: range(101, 150, (s) => message(s, s === 120 ? 'lost edit' : `m${s}`)), has_more: false });
  await reconnect(w);
  await w.reply('join', { ...here, head: 250, after: 250, recovered: true });
  await waited(w);
  await w.reply('join', page(250, range(151, 200), { has_more: true }));
  assert.equal(room.messages.length, 100);
  await w.reply('history', { messages: range(101, 150), has_more: false });
  assert.deepEqual(texts(room), range(101, 200).map((m) => m.text));
  assert.equal(room.hasOlder, false);
});

test('a lower after below everything shown leaves nothing to load again', async () => {
  const w = new World();
  const room = await w.joined();
  await w.say(event(30, 0));
  await reconnect(w);
  await w.reply('join', { ...here, head: 0, after: 0, recovered: true });
  await w.clock.tick(10_000);
  assert.deepEqual(texts(room), []);
  assert.equal(w.countOf('join'), 1);
});

test('a reload into a later life of the server, which knows less, shows what that knows', async () => {
  const w = new World();
  const room = await w.joined({ messages: [edited, message(12)], head: 15 });
  await w.sayAll(event(16, 15), retract(20, 16, 15));
  await reconnect(w); // before the reload was asked for
  await w.reply('join', page(12, [message(10), message(12)]));
  assert.deepEqual(texts(room), ['m10', 'm12']);
  await w.say(event(30, 12));
  assert.deepEqual(texts(room), ['m10', 'm12', 'm30']);
});
