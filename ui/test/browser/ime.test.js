// Input methods send their events in two orders. Chromium's own composition is
// driven through the debugger; Safari's order is played to the element as events.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { input, inside, rowTexts, sees, setup } from './harness.js';

const { person } = await setup();

test('Chrome: the Enter that ends a composition does not send, the next one does', async () => {
  const room = 'ime-chrome';
  const ann = await person('Ann', { room });
  await input(ann).focus();
  const cdp = await ann.context().newCDPSession(ann);
  await cdp.send('Input.imeSetComposition', { text: 'ni hao', selectionStart: 6, selectionEnd: 6 });
  // While a composition is open, every key comes as 229.
  await cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Process', code: 'Enter', windowsVirtualKeyCode: 229 });
  await cdp.send('Input.dispatchKeyEvent', { type: 'rawKeyDown', key: 'Enter', code: 'Enter', windowsVirtualKeyCode: 13 });
  assert.deepEqual(await rowTexts(ann), [], 'nothing is sent while composing');
  await cdp.send('Input.insertText', { text: '你好' });
  assert.equal(await input(ann).inputValue(), '你好');
  await ann.waitForFunction((t) => performance.now() > t, (await ann.evaluate(() => performance.now())) + 60);
  await input(ann).press('Enter');
  await sees(ann, '你好');
  assert.deepEqual(await rowTexts(ann), ['你好']);
  await ann.context().close();
});

/** Plays events on the textarea, with times in ms since the first, and tells what was sent. */
const play = (page, events) => inside(page, (root, list) => {
  const t = root.querySelector('textarea');
  t.focus();
  t.value = '東京';
  t.dispatchEvent(new Event('input'));
  for (const [type, init, at] of list) {
    const e = type === 'keydown' ? new KeyboardEvent(type, { bubbles: true, cancelable: true, ...init }) : new CompositionEvent(type, init);
    if (init.keyCode) Object.defineProperty(e, 'keyCode', { value: init.keyCode });
    Object.defineProperty(e, 'timeStamp', { value: 1e6 + at });
    t.dispatchEvent(e);
  }
  return t.value === '' ? 'sent' : 'kept';
}, events);

const ENTER = { key: 'Enter', code: 'Enter', keyCode: 13 };
for (const [name, events, want] of [
  ['Safari: compositionend, then the same Enter', [['compositionstart', {}, 0], ['compositionend', { data: '東京' }, 10], ['keydown', ENTER, 12]], 'kept'],
  ['Safari: the key says 229 after the end', [['compositionstart', {}, 0], ['compositionend', { data: '東京' }, 10], ['keydown', { ...ENTER, keyCode: 229 }, 200]], 'kept'],
  ['Safari: a later Enter sends', [['compositionstart', {}, 0], ['compositionend', { data: '東京' }, 10], ['keydown', ENTER, 12], ['keydown', ENTER, 90]], 'sent'],
  ['Chrome: isComposing', [['compositionstart', {}, 0], ['keydown', { ...ENTER, isComposing: true, keyCode: 229 }, 5]], 'kept'],
  ['an Enter inside, without any flag', [['compositionstart', {}, 0], ['keydown', ENTER, 500]], 'kept'],
  ['no composition at all', [['keydown', ENTER, 0]], 'sent'],
  ['Shift+Enter is a new line', [['keydown', { ...ENTER, shiftKey: true }, 0]], 'kept'],
]) {
  test(name, async () => {
    const ann = await person('Ann', { room: 'ime' });
    assert.equal(await play(ann, events), want);
    await ann.context().close();
  });
}

test('on a touch screen Enter is a new line and the button sends', async () => {
  const ann = await person('Ann', { room: 'touch', viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true });
  assert.equal(await play(ann, [['keydown', ENTER, 0]]), 'kept');
  await input(ann).fill('line one');
  await input(ann).press('Enter');
  await input(ann).pressSequentially('line two');
  await ann.locator('chat-room .send').tap();
  await sees(ann, 'line one');
  assert.deepEqual(await rowTexts(ann), ['line one\nline two']);
  for (const sel of ['.send', '.people-button', 'textarea']) {
    const box = await ann.locator(`chat-room ${sel}`).boundingBox();
    assert.ok(box.height >= 44 && box.width >= 44, `${sel} is ${box.width} by ${box.height}`);
  }
  await ann.locator('chat-room .row').tap();
  const box = await ann.locator('chat-room .bar button').first().boundingBox();
  assert.ok(box.height >= 44 && box.width >= 44);
  await ann.context().close();
});
