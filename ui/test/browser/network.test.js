import assert from 'node:assert/strict';
import { test } from 'node:test';
import { input, open, row, rowTexts, say, sees, setup, until } from './harness.js';

const { person, example } = await setup();
const kept = async (room) => (await example.history(room)).map((m) => m.text);

test('a message sent offline waits, is sent when the network is back, and arrives once', async () => {
  const [ann, bob] = [await person('Ann'), await person('Bob')];
  await say(ann, 'before');
  await sees(bob, 'before');
  await ann.context().setOffline(true);
  await ann.locator('chat-room .banner', { hasText: 'You are offline' }).waitFor();
  await say(ann, 'written offline');
  await row(ann, 'written offline').locator('.state', { hasText: 'Waiting for the connection' }).waitFor();
  await say(bob, 'meanwhile');
  await ann.context().setOffline(false);
  await ann.locator('chat-room .banner', { hasText: 'You are back' }).waitFor();
  await sees(bob, 'written offline');
  await row(ann, 'written offline').and(ann.locator('.sent')).waitFor();
  await ann.locator('chat-room .banner').waitFor({ state: 'hidden' });
  assert.deepEqual(await rowTexts(ann), ['before', 'meanwhile', 'written offline']);
  assert.deepEqual(await rowTexts(bob), ['before', 'meanwhile', 'written offline']);
  assert.deepEqual(await kept('lobby'), ['before', 'meanwhile', 'written offline']);
  for (const p of [ann, bob]) await p.context().close();
});

test('the server is killed and restarted while one types and sends: nothing lost, nothing twice', async () => {
  const room = 'restart';
  const [ann, bob] = [await person('Ann', { room }), await person('Bob', { room })];
  await say(ann, 'w0'); // not n0: a row reads "Ann 0:15" at a quarter past midnight
  await sees(bob, 'w0');
  await input(bob).fill('a thought in the making');
  await example.kill();
  await say(ann, 'w1');
  await say(ann, 'w2');
  await ann.locator('chat-room .banner', { hasText: 'Connection lost' }).waitFor();
  assert.equal(await row(ann, /^w[12]/).and(ann.locator('.pending')).count(), 2);
  await example.start();
  await say(ann, 'w3');
  await ann.locator('chat-room .banner button', { hasText: 'Try now' }).click({ timeout: 2000 }).catch(() => {}); // it may be back already
  await sees(bob, 'w3');
  await until(ann, (root) => root.querySelectorAll('.row.sent').length === 4);
  for (const p of [ann, bob]) assert.deepEqual(await rowTexts(p), ['w0', 'w1', 'w2', 'w3']);
  assert.deepEqual(await kept(room), ['w0', 'w1', 'w2', 'w3']);
  assert.equal(await input(bob).inputValue(), 'a thought in the making');
  for (const p of [ann, bob]) await p.context().close();
});

test('killed again and again while somebody sends: each message once, in order', async () => {
  const room = 'kills';
  const ann = await person('Ann', { room });
  const want = [];
  for (let i = 0; i < 12; i++) {
    want.push(`k${i}`);
    await say(ann, `k${i}`);
    if (i % 4 === 1) {
      await example.kill();
      await example.start();
      await ann.evaluate(() => document.querySelector('chat-room').chat.retry());
    }
  }
  await until(ann, (root) => root.querySelectorAll('.row.sent').length === 12, null, 40_000);
  assert.deepEqual(await kept(room), want);
  assert.deepEqual(await rowTexts(ann), want);
  await ann.context().close();
});

test('a message that was heard, but whose answer was lost with the page, is not doubled by the next page', async () => {
  const context = (await person('Ann', { room: 'answer' })).context();
  const page = await context.newPage();
  await page.routeWebSocket(/\/ws$/, (ws) => {
    const server = ws.connectToServer();
    server.onMessage((m) => (/"stored"/.test(m) ? ws.close({ code: 4100, reason: 'overloaded 600000' }) : ws.send(m)));
    ws.onMessage((m) => server.send(m));
  });
  await page.goto(`${example.url}/Ann/?room=answer`);
  await open(page);
  await say(page, 'heard, not answered');
  await page.locator('chat-room .banner').waitFor();
  await page.unrouteAll();
  const again = await context.newPage();
  await page.close();
  await again.goto(`${example.url}/Ann/?room=answer`);
  await row(again, 'heard, not answered').and(again.locator('.sent')).waitFor();
  await until(again, () => !Object.keys(localStorage).some((k) => k.startsWith('chatroom/')));
  assert.deepEqual(await kept('answer'), ['heard, not answered']);
  assert.deepEqual(await rowTexts(again), ['heard, not answered']);
  await context.close();
});

test('two tabs of one user show the same, also what is waiting', async () => {
  const room = 'tabs';
  const one = await person('Ann', { room });
  const two = await person('Ann', { room, context: one.context() });
  await say(one, 'from one');
  await sees(two, 'from one');
  assert.equal(await row(two, 'from one').getAttribute('aria-label').then((l) => l.startsWith('You')), true);
  await one.context().setOffline(true);
  for (const p of [one, two]) await p.locator('chat-room .banner', { hasText: 'offline' }).waitFor();
  await say(one, 'waiting in one');
  await row(two, 'waiting in one').and(two.locator('.pending')).waitFor();
  await one.context().setOffline(false);
  for (const p of [one, two]) await row(p, 'waiting in one').and(p.locator('.sent')).waitFor();
  assert.deepEqual(await kept(room), ['from one', 'waiting in one']);
  assert.deepEqual(await rowTexts(two), ['from one', 'waiting in one']);
  await one.context().close();
});

test('a refused message can be sent again or given up', async () => {
  const room = 'refused';
  const ann = await person('Ann', { room, ready: false });
  let refuse = true;
  await ann.routeWebSocket(/\/ws$/, (ws) => {
    const server = ws.connectToServer();
    ws.onMessage((m) => {
      const f = JSON.parse(m);
      if (f.op === 'send' && refuse) ws.send(JSON.stringify({ id: f.id, error: { code: 'refused', message: 'no advertising' } }));
      else server.send(m);
    });
  });
  await ann.reload();
  await open(ann);
  await say(ann, 'buy this');
  await row(ann, 'buy this').locator('.state.bad', { hasText: 'no advertising' }).waitFor();
  await row(ann, 'buy this').getByRole('button', { name: 'Discard' }).click();
  await row(ann, 'buy this').waitFor({ state: 'detached' });
  await say(ann, 'really');
  refuse = false;
  await row(ann, 'really').getByRole('button', { name: 'Try again' }).click();
  await row(ann, 'really').and(ann.locator('.sent')).waitFor();
  assert.deepEqual(await kept(room), ['really']);
  await ann.context().close();
});

test('a handler that throws does not stop the client', async () => {
  const room = 'throws';
  const [ann, bob] = [await person('Ann', { room }), await person('Bob', { room })];
  await ann.evaluate(() => {
    const el = document.querySelector('chat-room');
    for (const type of ['change', 'message', 'people', 'state']) {
      el.chat.room(el.room).addEventListener(type, () => {
        throw new Error('a mistake of the host');
      });
    }
  });
  for (const t of ['a', 'b', 'c']) await say(bob, `text ${t}`);
  await sees(ann, 'text c');
  assert.deepEqual(await rowTexts(ann), ['text a', 'text b', 'text c']);
  assert.ok(ann.errors.length > 0, 'the mistakes are reported');
  for (const p of [ann, bob]) await p.context().close();
});

test('pagehide lets go of the socket, so that the page may be cached, and coming back resumes', async () => {
  const room = 'cache';
  const ann = await person('Ann', { room });
  await ann.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })));
  assert.deepEqual(await ann.evaluate(() => {
    const { chat } = document.querySelector('chat-room');
    return [chat.status, chat.reason];
  }), ['waiting', 'hidden']);
  await example.post(room, ['while away']);
  await ann.evaluate(() => window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })));
  await sees(ann, 'while away');
  await ann.context().close();
});
