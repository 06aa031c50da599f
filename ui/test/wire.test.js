// The golden frames of testdata/wire, which the Go tests read too.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { World, event } from './fakes.js';

const golden = (name) => JSON.parse(readFileSync(new URL(`../../testdata/wire/${name}.json`, import.meta.url), 'utf8'));
const frames = golden('server_frames').map((f) => ({ ...f, frame: JSON.parse(f.frame) }));
const NUMBERED = ['message', 'edit', 'delete', 'react', 'retract'];
const BASE = 1790000000000000;

for (const { name, frame } of frames.filter((f) => NUMBERED.includes(f.frame.event))) {
  test(`event "${name}" is taken in and moves the position`, async () => {
    const w = new World();
    const target = { seq: frame.target ?? BASE - 5, from: { id: 'u1', name: 'Ann' }, text: 'was' };
    const room = await w.joined({ messages: [target], head: frame.prev });
    await w.say(frame);
    await w.say(event(frame.seq + 1, frame.seq, { text: 'next' }));
    assert.equal(w.countOf('join'), 1, 'no hole is seen');
    const m = room.message(frame.target ?? frame.seq);
    if (frame.event === 'message') {
      assert.deepEqual([m.text, m.data, m.replyTo, m.key, m.from], [frame.text ?? '', frame.data, frame.reply_to ?? 0, frame.key ?? '', frame.from]);
      assert.equal(m.at, Math.floor(Date.parse(frame.at)));
    }
    if (frame.event === 'edit') assert.deepEqual([m.text, m.edited], [frame.text ?? '', frame.seq]);
    if (frame.event === 'delete') assert.deepEqual([m.text, m.deleted], ['', true]);
    if (frame.event === 'react') assert.equal(m.reactions.some((r) => r.emoji === frame.emoji && r.users.includes(frame.from.id)), frame.on);
    if (frame.event === 'retract') assert.equal(m, undefined);
  });
}

for (const { name, frame } of frames.filter((f) => 'recovered' in f.frame)) {
  test(`reply "${name}" joins the room`, async () => {
    const w = new World();
    const room = await w.joined({ head: frame.after ?? 0 });
    await w.close(1006);
    await w.clock.tick(30_000);
    await w.hello();
    await w.say({ ...frame, id: w.asked('join').id });
    assert.equal(room.state, 'joined');
    assert.equal(room.memberCount, frame.member_count);
    assert.deepEqual(room.members, frame.members ?? null);
    assert.deepEqual(room.messages.map((m) => m.seq), (frame.messages ?? []).map((m) => m.seq));
    if (!frame.recovered) assert.equal(room.hasOlder, frame.has_more);
    if ('read' in frame) assert.deepEqual([room.readSeq, room.unread], [frame.read, frame.unread]);
  });
}

for (const { name, frame } of frames.filter((f) => f.frame.error)) {
  test(`reply "${name}" refuses the request it names, or nobody's`, async () => {
    const w = new World();
    const room = await w.joined();
    const { code, field, retry_after_ms: retryAfterMs } = frame.error;
    const done = room.delete(5).then(() => 'done', (e) => e);
    await w.say(frame.id ? { ...frame, id: w.asked('delete').id } : frame);
    if (!frame.id) await w.reply('delete', { seq: 9, stored: true });
    const e = await done;
    if (frame.id) assert.deepEqual([e.code, e.field, e.retryAfterMs], [code, field, retryAfterMs]);
    else assert.equal(e, 'done');
  });
}

test('every kind of golden frame is heard without harm', async () => {
  const w = new World();
  await w.joined();
  for (const { frame } of frames) if (frame.event !== 'hello') await w.say(frame);
  assert.equal(w.chat.status, 'open');
});

test('the golden hello opens', async () => {
  const w = new World();
  const hello = frames.find((f) => f.frame.event === 'hello').frame;
  await w.say(hello);
  assert.deepEqual([w.chat.status, w.chat.user, w.chat.limits], ['open', hello.user, hello.limits]);
});

test('what the client asks has the fields of the golden requests', async () => {
  const known = new Map();
  for (const { request } of golden('requests')) {
    const fields = known.get(request.op) ?? new Map();
    for (const [k, v] of Object.entries(request)) fields.set(k, k === 'data' ? 'any' : typeof v);
    known.set(request.op, fields);
  }
  const w = new World();
  const room = await w.joined({ messages: [{ seq: BASE, from: { id: 'u2', name: 'Bob' }, text: 'hi' }], has_more: true, read: 0, unread: 1 });
  const asked = [
    room.send('hi', { data: { kind: 'wave' }, replyTo: BASE }), room.edit(BASE, 'x'), room.delete(BASE), room.react(BASE, '👍', true),
    room.loadOlder(),
  ];
  room.typing();
  room.markRead();
  await w.clock.tick(30_000);
  await w.say({ event: 'presence', room: 'lobby', v: 9, count: 2, join: [] });
  room.leave();
  for (const a of asked) a.catch(() => {});
  const ops = new Set(w.socket.sent.map((f) => f.op));
  assert.deepEqual([...ops].sort(), ['delete', 'edit', 'history', 'join', 'leave', 'members', 'ping', 'react', 'read', 'send', 'typing']);
  for (const f of w.socket.sent) {
    for (const [k, v] of Object.entries(f)) {
      const type = known.get(f.op)?.get(k);
      assert.ok(type === 'any' || type === typeof v, `${f.op}.${k} is ${typeof v}, the golden requests have ${type}`);
    }
  }
  w.chat.close();
});
