import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ANN, BOB, FakeStorage, World, event, message, reconnect, settled, texts } from './fakes.js';

test('a page, then live events', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10), message(20)], has_more: true });
  assert.equal(w.asked('join').limit, 50);
  await w.say(event(30, 20));
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30']);
  assert.equal(room.hasOlder, true);
});

test('events in the same segment as the join reply are not missed', async () => {
  const w = new World();
  const room = w.chat.room('lobby');
  await w.hello();
  await w.sayAll(
    { id: w.asked('join').id, ok: true, room: 'lobby', head: 10, recovered: false, messages: [message(10)], has_more: false, member_count: 1, presence_v: 1 },
    event(20, 10), event(30, 20),
  );
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30']);
  assert.equal(w.countOf('join'), 1);
});

test('comes back with after and takes the missed events in', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)] });
  await w.say(event(20, 10));
  await reconnect(w);
  assert.deepEqual({ ...w.asked('join'), id: '' }, { id: '', op: 'join', room: 'lobby', after: 20 });
  await w.reply('join', { room: 'lobby', head: 40, after: 20, recovered: true, member_count: 1, presence_v: 1 });
  await w.sayAll(event(30, 20), event(40, 30), event(30, 20));
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30', 'm40']);
});

test('a hole is healed by joining again, once', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)] });
  await w.sayAll(event(30, 20), event(40, 30));
  assert.equal(w.countOf('join'), 2);
  assert.equal(w.asked('join').after, 10);
  assert.deepEqual(texts(room), ['m10']);
  await w.reply('join', { room: 'lobby', head: 40, after: 10, recovered: true, member_count: 1, presence_v: 1 });
  await w.sayAll(event(20, 10), event(30, 20), event(40, 30), event(50, 40));
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30', 'm40', 'm50']);
  assert.equal(w.countOf('join'), 2);
});

test('a lower after makes it forget what the server lost', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)] });
  await w.sayAll(event(20, 10), event(25, 20, { event: 'edit', target: 10, text: 'edited' }), event(30, 25));
  await reconnect(w);
  await w.reply('join', { room: 'lobby', head: 40, after: 20, recovered: true, member_count: 1, presence_v: 1 });
  assert.deepEqual(texts(room), ['m10', 'm20']);
  await w.say(event(40, 20, { text: 'again' }));
  assert.deepEqual(texts(room), ['m10', 'm20', 'again']);
});

test('not recovered: the list is replaced, pending messages stay', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)] });
  await w.close(1006);
  room.send('waiting').catch(() => {});
  assert.equal(room.messages[1].state, 'pending');
  await w.clock.tick(30_000);
  await w.hello();
  await w.reply('join', { room: 'lobby', head: 99, recovered: false, messages: [message(98), message(99)], has_more: true, member_count: 1, presence_v: 1 });
  assert.deepEqual(texts(room), ['m98', 'm99', 'waiting']);
});

test('send: pending at once, sent with the reply, the same with the event, in either order', async () => {
  for (const first of ['reply', 'event']) {
    const w = new World();
    const room = await w.joined();
    const sent = room.send('hi', { data: { a: 1 }, replyTo: 5 });
    assert.equal(room.messages[0].state, 'pending');
    const f = w.asked('send');
    assert.deepEqual(f, { id: f.id, op: 'send', room: 'lobby', key: f.key, text: 'hi', data: { a: 1 }, reply_to: 5 });
    const own = event(10, 0, { from: ANN, key: f.key, text: 'hi', data: { a: 1 }, reply_to: 5 });
    if (first === 'reply') await w.reply('send', { seq: 10, stored: true });
    await w.say(own);
    if (first === 'event') await w.reply('send', { seq: 10, stored: true });
    assert.equal(await sent, 10);
    assert.deepEqual(room.messages.map((m) => [m.seq, m.text, m.state, m.mine, m.replyTo]), [[10, 'hi', 'sent', true, 5]]);
    assert.equal(w.storage.length, 0);
  }
});

test('messages are sent one by one, in order', async () => {
  const w = new World();
  const room = await w.joined();
  const all = ['a', 'b', 'c'].map((t) => room.send(t));
  for (const [i, t] of ['a', 'b', 'c'].entries()) {
    assert.equal(w.countOf('send'), i + 1);
    assert.equal(w.asked('send').text, t);
    await w.reply('send', { seq: 10 + i, stored: true });
  }
  assert.deepEqual(await Promise.all(all), [10, 11, 12]);
});

test('a refusal leaves the message failed, to be sent again or given up', async () => {
  const w = new World();
  const room = await w.joined();
  const sent = assert.rejects(room.send('hi'), { code: 'forbidden' });
  await w.refuse('send', 'forbidden');
  await sent;
  const [m] = room.messages;
  assert.equal(m.state, 'failed');
  assert.equal(m.error.code, 'forbidden');
  const again = assert.rejects(room.retry(m.key), { code: 'forbidden' });
  assert.equal(w.asked('send').key, m.key);
  assert.equal(w.asked('send').retry, true);
  await w.refuse('send', 'forbidden');
  await again;
  room.discard(m.key);
  assert.deepEqual(room.messages, []);
  assert.equal(w.storage.length, 0);
});

test('a key conflict is retried under a new key', async () => {
  const w = new World();
  const room = await w.joined();
  room.send('hi').catch(() => {});
  const { key } = w.asked('send');
  await w.refuse('send', 'key_conflict');
  room.retry(key).catch(() => {});
  assert.notEqual(w.asked('send').key, key);
  assert.equal(room.messages.length, 1);
});

test('rate_limited holds everything back for as long as the server says', async () => {
  const w = new World();
  const room = await w.joined();
  const sent = room.send('a');
  room.send('b').catch(() => {});
  await w.refuse('send', 'rate_limited', { retry_after_ms: 800 });
  room.send('c').catch(() => {});
  await w.clock.tick(799);
  assert.equal(w.countOf('send'), 1);
  await w.clock.tick(1);
  assert.equal(w.asked('send').text, 'a');
  assert.equal(w.asked('send').retry, true);
  await w.reply('send', { seq: 10, stored: true });
  assert.equal(await sent, 10);
  assert.equal(w.asked('send').text, 'b');
});

test('what was not acknowledged is sent again with its key after a reconnect, and settles the promise', async () => {
  const w = new World();
  const room = await w.joined();
  const sent = room.send('hi');
  const { key } = w.asked('send');
  await reconnect(w);
  await w.reply('join', { room: 'lobby', head: 10, after: 0, recovered: true, member_count: 1, presence_v: 1 });
  const again = w.asked('send');
  assert.equal(again.key, key);
  assert.equal(again.retry, true);
  await w.say(event(10, 0, { from: ANN, key, text: 'hi' }));
  await w.reply('send', { seq: 10, stored: true, duplicate: true });
  assert.equal(await sent, 10);
  assert.deepEqual(texts(room), ['hi']);
});

test('the outbox survives a reload, in order, and is not sent for another user', async () => {
  const storage = new FakeStorage();
  const before = new World({ storage });
  const room = await before.joined();
  for (const t of ['one', 'two']) {
    room.send(t).catch(() => {});
    before.clock.time += 5;
  }
  const other = new World({ storage, seed: 7 });
  const theirs = other.chat.room('lobby');
  await other.hello({ user: BOB });
  assert.deepEqual(texts(theirs), []);

  const after = new World({ storage, seed: 9 });
  const mine = after.chat.room('lobby');
  await after.hello();
  assert.deepEqual(texts(mine), ['one', 'two'], 'shown before the room is joined');
  await after.reply('join', { room: 'lobby', head: 0, recovered: false, messages: [], has_more: false, member_count: 1, presence_v: 1 });
  assert.equal(after.asked('send').text, 'one');
  assert.equal(after.asked('send').retry, true);
  await after.reply('send', { seq: 10, stored: true });
  assert.equal(after.asked('send').text, 'two');
  await after.reply('send', { seq: 11, stored: true });
  assert.equal(storage.length, 0);
});

test('a message of yesterday waits for its writer', async () => {
  const storage = new FakeStorage();
  const before = new World({ storage });
  (await before.joined()).send('old').catch(() => {});
  const w = new World({ storage });
  w.clock.time = before.clock.time + 25 * 3600 * 1000;
  const room = await w.joined();
  assert.equal(w.countOf('send'), 0);
  assert.equal(room.messages[0].state, 'failed');
  assert.equal(room.messages[0].error.code, 'expired');
});

test('the 101st waiting message is refused, nothing is thrown away', async () => {
  const w = new World();
  const room = w.chat.room('lobby');
  for (let i = 0; i < 100; i++) room.send(`m${i}`).catch(() => {});
  await assert.rejects(room.send('one more'), { code: 'outbox_full' });
  assert.equal(room.messages.length, 100);
});

test('works without storage, and with one that is full', async () => {
  const full = new FakeStorage();
  full.setItem = () => {
    throw new Error('QuotaExceededError');
  };
  for (const storage of [null, full]) {
    const w = new World({ storage });
    const room = await w.joined();
    const sent = room.send('hi');
    await w.reply('send', { seq: 10, stored: true });
    assert.equal(await sent, 10);
  }
});

test('another tab shows what this one is sending, and sends it only after its own next join', async () => {
  const storage = new FakeStorage();
  const [a, b] = [new World({ storage }), new World({ storage, seed: 5 })];
  const [ra, rb] = [await a.joined(), await b.joined()];
  ra.send('hi').catch(() => {});
  const [name] = storage.map.keys();
  b.window.dispatchEvent(Object.assign(new Event('storage'), { key: name, newValue: storage.getItem(name) }));
  await settled();
  assert.deepEqual(rb.messages.map((m) => [m.text, m.state]), [['hi', 'pending']]);
  assert.equal(b.countOf('send'), 0);
  await reconnect(b);
  await b.reply('join', { room: 'lobby', head: 0, after: 0, recovered: true, member_count: 1, presence_v: 1 });
  assert.equal(b.asked('send').retry, true);
  await b.reply('send', { seq: 10, stored: true });
  a.window.dispatchEvent(Object.assign(new Event('storage'), { key: name, newValue: null }));
  await settled();
  assert.equal(ra.messages.length, 1, 'the tab that promised an answer asks for itself');
  await a.reply('send', { seq: 10, stored: true, duplicate: true });
  assert.deepEqual(ra.messages.map((m) => m.state), ['sent']);
});

test('another user after a reconnect sees nothing of the last one', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)] });
  const sent = assert.rejects(room.send('mine'), { code: 'closed' });
  await w.close(1006);
  await w.clock.tick(30_000);
  await w.hello({ user: BOB });
  assert.deepEqual(room.messages, []);
  assert.equal(w.asked('join').after, undefined);
  await sent;
});

test('loadOlder and loadAround page through the history', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(100)], has_more: true });
  const older = room.loadOlder();
  assert.equal(room.loadOlder(), older);
  assert.equal(w.asked('history').before, 100);
  await w.reply('history', { messages: [message(80), message(90)], has_more: true });
  await older;
  assert.deepEqual(texts(room), ['m80', 'm90', 'm100']);

  const around = room.loadAround(20);
  await w.reply('history', { messages: [message(10), message(20), message(30)], has_more: true, has_newer: true });
  await around;
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30']);
  assert.equal(room.hasNewer, true);
  await w.say(event(110, 100));
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30']);

  const newer = room.loadNewer();
  assert.equal(w.asked('history').after, 30);
  await w.reply('history', { messages: [40, 80, 90, 100, 110].map((seq) => message(seq)), has_newer: false });
  await newer;
  assert.equal(room.hasNewer, false);
  assert.deepEqual(texts(room), ['m10', 'm20', 'm30', 'm40', 'm80', 'm90', 'm100', 'm110']);
});

test('presence: joins, leaves, versions, and the count alone', async () => {
  const w = new World();
  const room = await w.joined({ members: [ANN], member_count: 1, presence_v: 4 });
  await w.say({ event: 'presence', room: 'lobby', v: 5, count: 2, join: [BOB] });
  assert.deepEqual(room.members, [ANN, BOB]);
  await w.say({ event: 'presence', room: 'lobby', v: 5, count: 9, leave: ['u1'] });
  assert.equal(room.memberCount, 2);
  await w.say({ event: 'presence', room: 'lobby', v: 7, count: 1, leave: ['u2'] });
  await w.reply('members', { room: 'lobby', members: [ANN], member_count: 1, presence_v: 7 });
  assert.deepEqual(room.members, [ANN]);
  await w.say({ event: 'presence', room: 'lobby', v: 8, count: 201 });
  assert.equal(room.members, null);
  assert.equal(room.memberCount, 201);
});

test('typing ends after 5 s or with a message, own typing is not shown', async () => {
  const w = new World();
  const room = await w.joined();
  const typing = (from) => w.say({ event: 'typing', room: 'lobby', from });
  await typing(ANN);
  assert.deepEqual(room.typists, []);
  await typing(BOB);
  assert.deepEqual(room.typists, [BOB]);
  await w.clock.tick(4999);
  assert.deepEqual(room.typists, [BOB]);
  await w.clock.tick(1);
  assert.deepEqual(room.typists, []);
  await typing(BOB);
  await w.say(event(10, 0));
  assert.deepEqual(room.typists, []);
});

test('typing() is told once in 3 s', async () => {
  const w = new World();
  const room = await w.joined();
  for (let i = 0; i < 6; i++) {
    room.typing();
    await w.clock.tick(1000);
  }
  assert.equal(w.countOf('typing'), 2);
});

test('the read mark: counted, moved, told at most once a second, never back', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10), message(20)], read: 10, unread: 1 });
  assert.equal(room.unread, 1);
  await w.say(event(30, 20));
  await w.say(event(40, 30, { from: ANN }));
  assert.equal(room.unread, 2);
  room.markRead(30);
  room.markRead();
  room.markRead(20);
  assert.equal(room.unread, 0);
  assert.deepEqual([w.countOf('read'), w.asked('read').seq], [1, 30], 'the first at once');
  await w.clock.tick(1000);
  assert.deepEqual([w.countOf('read'), w.asked('read').seq], [2, 40]);
  await w.reply('read', { room: 'lobby', read: 40, unread: 0 });
  await w.say({ event: 'read', room: 'lobby', read: 30, unread: 7 });
  assert.equal(room.readSeq, 40);
});

test('a mark moved while the connection was away is told at the next join', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)], read: 0, unread: 1 });
  await w.close(1006);
  room.markRead();
  await w.clock.tick(30_000);
  await w.hello();
  await w.reply('join', { room: 'lobby', head: 10, after: 10, recovered: true, member_count: 1, presence_v: 1 });
  assert.equal(w.asked('read').seq, 10);
});

test('a store without read marks is not asked again', async () => {
  const w = new World();
  const room = await w.joined({ messages: [message(10)] });
  room.markRead();
  await w.clock.tick(2000);
  assert.equal(w.countOf('read'), 0);
});

test('a room the user may not see is refused with its reason; removed says so', async () => {
  const w = new World();
  const room = w.chat.room('secret');
  await w.hello();
  await w.refuse('join', 'not_found');
  assert.equal(room.state, 'refused');
  assert.equal(room.error.code, 'not_found');
  const lobby = await w.joined();
  await w.say({ event: 'removed', room: 'lobby' });
  assert.equal(lobby.state, 'removed');
});

test('a join the server has no room for is tried again after its delay', async () => {
  const w = new World();
  w.chat.room('lobby');
  await w.hello();
  await w.refuse('join', 'rate_limited', { retry_after_ms: 700 });
  await w.clock.tick(700);
  assert.equal(w.countOf('join'), 2);
});

test('many rooms over one socket do not meet', async () => {
  const w = new World();
  const a = await w.joined({ name: 'a' });
  const b = await w.joined({ name: 'b' });
  await w.say(event(10, 0, { room: 'a' }));
  assert.equal(w.sockets.length, 1);
  assert.deepEqual([texts(a), texts(b)], [['m10'], []]);
  a.leave();
  assert.equal(w.asked('leave').room, 'a');
  assert.notEqual(w.chat.room('a'), a);
});

test('text the server would refuse does not enter the list', async () => {
  const w = new World();
  const room = await w.joined();
  await assert.rejects(room.send(' \u200b\n'), { code: 'empty_message' });
  await assert.rejects(room.send('é'.repeat(4001)), { code: 'too_long' });
  await assert.rejects(room.send('日'.repeat(2731)), { code: 'too_long' });
  assert.deepEqual(room.messages, []);
  room.send('日'.repeat(2730)).catch(() => {});
  assert.equal(room.messages.length, 1);
});

test('change comes once for many events at a time', async () => {
  const w = new World();
  const room = await w.joined();
  let changes = 0;
  room.addEventListener('change', () => changes++);
  await w.sayAll(...Array.from({ length: 50 }, (_, i) => event(i + 1, i)));
  assert.equal(changes, 1);
  assert.equal(room.messages.length, 50);
});
