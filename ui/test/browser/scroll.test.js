import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, inside, input, row, say, sees, setup, until } from './harness.js';

const { person, example } = await setup();
const numbered = (from, n) => Array.from({ length: n }, (_, i) => `message ${from + i}${i % 7 === 0 ? ' with a second line\nto make heights differ' : ''}`);

/** What the reader looks at: the first message in view and where it is. */
const place = (page) => inside(page, (root) => {
  const view = root.querySelector('.view').getBoundingClientRect();
  const el = [...root.querySelectorAll('.row')].find((r) => r.getBoundingClientRect().bottom > view.top + 1);
  return { text: el.querySelector('.text').textContent, top: Math.round(el.getBoundingClientRect().top - view.top) };
});
const gap = (page) => inside(page, (root) => {
  const v = root.querySelector('.view');
  return Math.round(v.scrollHeight - v.scrollTop - v.clientHeight);
});
/** Until the list has been drawn: two frames. */
const drawn = (page) => page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r))));

test('scrolling up through 1,000 messages keeps the place, keeps few rows, and comes down again', async () => {
  const room = 'long';
  await example.post(room, numbered(1, 1000));
  const ann = await person('Ann', { room });
  assert.ok((await gap(ann)) < 2, 'starts at the end');
  const view = ann.locator('chat-room .view');
  await view.hover();
  let most = 0;
  for (let i = 0; i < 400; i++) {
    const before = await place(ann);
    // As a wheel does, and compared across whatever loading follows it.
    await inside(ann, (root) => { root.querySelector('.view').scrollTop -= 300; });
    const moved = await place(ann);
    await drawn(ann);
    await drawn(ann);
    const after = await place(ann);
    const rows = await ann.locator('chat-room .row').count();
    most = Math.max(most, rows);
    const what = `step ${i} from ${JSON.stringify(before)}: ${JSON.stringify(moved)} became ${JSON.stringify(after)}`;
    assert.equal(after.text, moved.text, what);
    assert.ok(Math.abs(after.top - moved.top) <= 1, what); // a pixel is rounding
    if (after.text.startsWith('message 1 ') && (await ann.locator('chat-room .beginning').count())) break;
    if (await ann.locator('chat-room .spinner.on').count()) await until(ann, (root) => !root.querySelector('.spinner.on'));
  }
  assert.match((await place(ann)).text, /^message 1 /, 'the first message is reached');
  assert.ok(most <= 300, `${most} rows`);
  await ann.locator('chat-room .jump').click();
  await until(ann, (root) => root.querySelector('.jump').hidden);
  await sees(ann, 'message 1000');
  assert.ok((await gap(ann)) < 40);
  await ann.context().close();
});

test('500 messages that arrive while scrolled up do not move the view, and the jump button counts them', async () => {
  const room = 'busy';
  await example.post(room, numbered(1, 120));
  const ann = await person('Ann', { room });
  await inside(ann, (root) => { root.querySelector('.view').scrollTop = 400; });
  await drawn(ann);
  await until(ann, (root) => !root.querySelector('.spinner.on'));
  await inside(ann, (root) => { root.querySelector('.view').scrollTop = 1500; });
  await drawn(ann);
  const before = await place(ann);
  await example.post(room, numbered(1001, 500), 'crowd');
  await ann.locator('chat-room .jump', { hasText: '500 new messages' }).waitFor();
  await drawn(ann);
  assert.deepEqual(await place(ann), before);
  assert.ok((await ann.locator('chat-room .row').count()) <= 300);
  await ann.locator('chat-room .jump').click();
  await sees(ann, 'message 1500');
  await until(ann, (root) => root.querySelector('.jump').hidden);
  assert.ok((await gap(ann)) < 40);
  await ann.context().close();
});

test('at the end the list follows, also through a growing composer and a smaller window', async () => {
  const room = 'follow';
  await example.post(room, numbered(1, 40));
  const ann = await person('Ann', { room });
  await example.post(room, ['and one more'], 'later');
  await sees(ann, 'and one more');
  await drawn(ann);
  assert.ok((await gap(ann)) < 2);
  await input(ann).fill('a\nb\nc\nd\ne');
  await drawn(ann);
  assert.ok((await gap(ann)) < 2);
  await ann.setViewportSize({ width: 600, height: 420 });
  await drawn(ann);
  await drawn(ann);
  assert.ok((await gap(ann)) < 2);
  await ann.context().close();
});

test('smooth scrolling to the latest reaches it', async () => {
  const room = 'smooth';
  await example.post(room, numbered(1, 100));
  const ann = await person('Ann', { room, reducedMotion: 'no-preference' });
  await until(ann, (root) => { // the list may still be settling at its end
    root.querySelector('.view').scrollTop = 900;
    return !root.querySelector('.jump').hidden;
  });
  await ann.locator('chat-room .jump').click();
  await example.post(room, ['arrived on the way'], 'late');
  await sees(ann, 'arrived on the way');
  await until(ann, (root) => {
    const v = root.querySelector('.view');
    return v.scrollHeight - v.scrollTop - v.clientHeight < 2;
  });
  await ann.context().close();
});

test('a quote leads to its message far up, and back to the latest', async () => {
  const room = 'quotes';
  const [first] = await example.post(room, ['the very first']);
  await example.post(room, numbered(1, 400), 'fill');
  const res = await fetch(`${example.url}/quoter/rooms/${room}/messages`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ key: 'q', text: 'remember that?', reply_to: first }),
  });
  assert.equal(res.status, 201);
  const ann = await person('Ann', { room });
  await row(ann, 'remember that?').locator('.quote').click();
  await until(ann, (root) => root.activeElement?.textContent.includes('the very first'));
  const box = await row(ann, 'the very first').boundingBox();
  assert.ok(box.y > 0 && box.y < 720, 'it is in view');
  await ann.locator('chat-room .jump').click();
  await sees(ann, 'remember that?');
  await until(ann, (root) => root.querySelector('.jump').hidden);
  // And what is written far up is sent and shown at the end.
  await row(ann, 'remember that?').locator('.quote').click();
  await until(ann, (root) => root.activeElement?.textContent.includes('the very first'));
  await say(ann, 'yes I do');
  await row(ann, 'yes I do').waitFor();
  await until(ann, (root) => root.querySelector('.jump').hidden);
  await ann.context().close();
});

test('the divider stands before what is unread; the mark moves only when the end is seen', async () => {
  const room = 'unread';
  await example.post(room, numbered(1, 30));
  const reading = (page) => page.evaluate(() => {
    const el = document.querySelector('chat-room');
    const r = el.chat.room(el.room);
    return { unread: r.unread, read: r.readSeq };
  });
  let ann = await person('Ann', { room });
  await until(ann, () => document.querySelector('chat-room').chat.room('unread').unread === 0);
  await eventually(() => ann.heard.some((f) => /^\{"id":"\d+","ok":true,"room":"unread","read":/.test(f)));
  await ann.context().close();

  const unseen = numbered(31, 60);
  await example.post(room, unseen, 'news');
  ann = await person('Ann', { room });
  await ann.locator('chat-room .unread').waitFor();
  assert.equal(await inside(ann, (root) => root.querySelector('.unread').nextSibling.querySelector('.text').textContent), unseen[0]);
  const box = await ann.locator('chat-room .unread').boundingBox();
  assert.ok(box.y > 50 && box.y < 500, `the divider is in view, at ${box.y}`);
  await ann.locator('chat-room .jump', { hasText: '60 new messages' }).waitFor();
  assert.equal((await reading(ann)).unread, 60, 'not read yet');
  await ann.locator('chat-room .jump').click();
  await until(ann, () => document.querySelector('chat-room').chat.room('unread').unread === 0);

  // Hidden: nothing is read although the list is at its end.
  await ann.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await example.post(room, ['while hidden'], 'hid');
  await sees(ann, 'while hidden');
  assert.equal((await reading(ann)).unread, 1);
  await ann.evaluate(() => {
    delete document.visibilityState;
    document.dispatchEvent(new Event('visibilitychange'));
  });
  await until(ann, () => document.querySelector('chat-room').chat.room('unread').unread === 0);
  assert.equal(await inside(ann, (root) => root.querySelector('.unread').nextSibling.querySelector('.text').textContent), 'while hidden');
  await ann.context().close();
});
