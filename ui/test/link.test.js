import assert from 'node:assert/strict';
import { test } from 'node:test';
import { World, settled } from './fakes.js';

test('asks for the protocol, opens with hello, and tells who we are', async () => {
  const w = new World();
  assert.equal(w.socket.url, 'ws://host/chat/ws');
  assert.deepEqual(w.socket.protocols, ['chatroom.v1']);
  assert.equal(w.chat.status, 'connecting');
  await w.hello();
  assert.equal(w.chat.status, 'open');
  assert.deepEqual(w.chat.user, { id: 'u1', name: 'Ann' });
});

test('backs off with full jitter, doubling to 30 s', async () => {
  const w = new World({ random: () => 1 });
  const waits = [];
  for (let i = 0; i < 9; i++) {
    await w.close(1006);
    assert.equal(w.chat.status, 'waiting');
    waits.push(w.chat.retryAt - w.clock.time);
    await w.clock.tick(waits.at(-1));
    assert.equal(w.chat.status, 'connecting');
  }
  assert.deepEqual(waits, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
});

test('a connection that lived starts the backoff afresh, one that flaps does not', async () => {
  const w = new World({ random: () => 1 });
  for (let i = 0; i < 3; i++) {
    await w.hello();
    await w.close(1006);
    await w.clock.tick(w.chat.retryAt - w.clock.time);
  }
  await w.hello();
  await w.clock.tick(6000);
  await w.close(1006);
  assert.equal(w.chat.retryAt - w.clock.time, 500);
});

for (const [code, reason, want] of [
  [1001, 'going_away 1834', { status: 'waiting', in: 1834, reason: 'going_away' }],
  [4000, 'slow_consumer', { status: 'waiting', in: 0, reason: 'slow_consumer' }],
  [4002, 'heartbeat_timeout', { status: 'waiting', in: 0, reason: 'heartbeat_timeout' }],
  [4042, '', { status: 'waiting', in: 0, reason: 'closed' }],
  [4100, 'overloaded 7000', { status: 'waiting', in: 7000, reason: 'overloaded' }],
  [4500, 'unauthorized', { status: 'closed', reason: 'unauthorized' }],
  [4501, 'disconnected', { status: 'closed', reason: 'disconnected' }],
  [4999, '', { status: 'closed', reason: 'refused' }],
  [1011, '', { status: 'waiting', in: 500, reason: 'lost' }],
]) {
  test(`close ${code} ${reason}: ${want.status}${want.in === undefined ? '' : ` for ${want.in} ms`}`, async () => {
    const w = new World({ random: () => 1 });
    await w.hello();
    await w.clock.tick(5000);
    await w.close(code, reason);
    assert.equal(w.chat.status, want.status);
    assert.equal(w.chat.reason, want.reason);
    if (want.in !== undefined) assert.equal(w.chat.retryAt - w.clock.time, want.in);
    else assert.equal(w.clock.pending, 0, 'nothing is planned any more');
  });
}

test('"reconnect now" backs off when it is all the server ever says', async () => {
  const w = new World({ random: () => 1 });
  await w.hello();
  await w.close(4000, 'slow_consumer');
  assert.equal(w.chat.retryAt - w.clock.time, 500);
});

test('going_away is honoured when the close brings no delay', async () => {
  const w = new World();
  await w.hello();
  await w.say({ event: 'going_away', retry_after_ms: 1200 });
  await w.close(1006);
  assert.equal(w.chat.retryAt - w.clock.time, 1200);
});

test('a silent connection is pinged and, without an answer, left', async () => {
  const w = new World();
  await w.hello();
  await w.clock.tick(24_999);
  assert.equal(w.countOf('ping'), 0);
  await w.clock.tick(1);
  assert.equal(w.countOf('ping'), 1);
  await w.clock.tick(5000);
  await w.reply('ping');
  await w.clock.tick(20_000);
  assert.equal(w.chat.status, 'open');
  await w.clock.tick(5000);
  assert.equal(w.countOf('ping'), 2);
  const old = w.socket;
  await w.clock.tick(10_000);
  assert.equal(old.closedWith, 1000);
  assert.equal(w.sockets.length, 2);
  assert.equal(w.chat.reason, 'timeout');
});

test('anything heard keeps it from pinging', async () => {
  const w = new World();
  await w.hello();
  for (let i = 0; i < 10; i++) {
    await w.clock.tick(20_000);
    await w.say({ event: 'typing', room: 'x', from: { id: 'u2', name: 'Bob' } });
  }
  assert.equal(w.countOf('ping'), 0);
});

test('an attempt without hello is given up after 10 s', async () => {
  const w = new World({ random: () => 1 });
  await w.clock.tick(10_000);
  assert.equal(w.chat.status, 'waiting');
  assert.equal(w.chat.reason, 'timeout');
});

test('tries at once when the network is back, the page is seen, or somebody asks', async () => {
  for (const wake of [
    (w) => w.window.dispatchEvent(new Event('online')),
    (w) => w.document.dispatchEvent(new Event('visibilitychange')),
    (w) => w.window.dispatchEvent(new Event('pageshow')),
    (w) => w.chat.retry(),
  ]) {
    const w = new World();
    await w.close(1006);
    wake(w);
    assert.equal(w.chat.status, 'connecting');
    assert.equal(w.sockets.length, 2);
  }
});

test('a page that is seen again asks whether the connection still lives', async () => {
  const w = new World();
  await w.hello();
  await w.clock.tick(3000);
  w.document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(w.countOf('ping'), 1);
});

test('pagehide closes the socket for the back-forward cache, pageshow opens another', async () => {
  const w = new World();
  await w.hello();
  w.window.dispatchEvent(new Event('pagehide'));
  assert.equal(w.socket.closedWith, 1000);
  assert.equal(w.chat.status, 'waiting');
  assert.equal(w.chat.retryAt, 0);
  await w.clock.tick(100_000);
  assert.equal(w.sockets.length, 1);
  w.window.dispatchEvent(new Event('pageshow'));
  assert.equal(w.sockets.length, 2);
});

test('offline leaves the connection and goes on trying', async () => {
  const w = new World();
  await w.hello();
  w.window.dispatchEvent(new Event('offline'));
  assert.equal(w.chat.status, 'waiting');
  assert.equal(w.chat.reason, 'offline');
  await w.clock.tick(500);
  assert.equal(w.sockets.length, 2);
});

test('a request ends with its reply, its refusal, or the connection', async () => {
  const w = new World();
  const room = await w.joined({ messages: [] });
  const edits = [room.edit(5, 'a'), room.edit(6, 'b'), room.edit(7, 'c')];
  const [a, b] = w.socket.sent.filter((f) => f.op === 'edit');
  const slow = assert.rejects(edits[1], { code: 'rate_limited', message: 'slow', retryAfterMs: 800 });
  await w.say({ id: b.id, error: { code: 'rate_limited', message: 'slow', retry_after_ms: 800 } });
  await w.say({ id: a.id, ok: true, seq: 9 });
  await edits[0];
  await slow;
  const lost = assert.rejects(edits[2], { code: 'disconnected' });
  await w.close(1006);
  await lost;
});

test('close() ends everything, twice as well', async () => {
  const w = new World();
  const room = await w.joined();
  w.chat.close();
  w.chat.close();
  assert.equal(w.chat.status, 'closed');
  assert.equal(room.state, 'left');
  assert.equal(w.clock.pending, 0);
  w.window.dispatchEvent(new Event('online'));
  await settled();
  assert.equal(w.sockets.length, 1);
});

test('frames of a socket that was left are not heard', async () => {
  const w = new World();
  await w.hello();
  const old = w.socket;
  await w.close(4000);
  await w.clock.tick(500);
  await w.hello({ user: { id: 'u1', name: 'Ann' } });
  old.onmessage({ data: '{"event":"hello","user":{"id":"u9","name":"Eve"}}' });
  old.onclose({ code: 4500, reason: '' });
  assert.equal(w.chat.status, 'open');
  assert.equal(w.chat.user.id, 'u1');
});
