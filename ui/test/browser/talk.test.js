import assert from 'node:assert/strict';
import { test } from 'node:test';
import { act, input, inside, row, rowTexts, say, sees, setup, until } from './harness.js';

const { person, example } = await setup();

test('two people talk, see each other come, type and go', async () => {
  const [ann, bob] = [await person('Ann'), await person('Bob')];
  await ann.locator('chat-room .people-button', { hasText: '2' }).click();
  await ann.locator('chat-room aside li', { hasText: 'Bob' }).waitFor();
  await input(bob).pressSequentially('hel');
  await ann.locator('chat-room .typing.on', { hasText: 'Bob is typing' }).waitFor();
  await say(bob, 'hello Ann');
  await sees(ann, 'hello Ann');
  await until(ann, (root) => !root.querySelector('.typing.on'));
  await say(ann, 'hello Bob');
  await sees(bob, 'hello Bob');
  assert.deepEqual(await rowTexts(ann), ['hello Ann', 'hello Bob']);
  assert.deepEqual(await rowTexts(bob), ['hello Ann', 'hello Bob']);
  await bob.context().close();
  await ann.locator('chat-room .people-button', { hasText: '1' }).waitFor({ timeout: 15_000 });
  await ann.context().close();
});

test('edit, reply, react, delete: everybody sees the same', async () => {
  const [ann, bob] = [await person('Ann', { room: 'changes' }), await person('Bob', { room: 'changes' })];
  await say(ann, 'first thaught');
  await sees(bob, 'first thaught');
  await input(ann).press('ArrowUp');
  await ann.locator('chat-room .context', { hasText: 'Editing' }).waitFor();
  await input(ann).fill('first thought');
  await input(ann).press('Enter');
  await row(bob, 'first thought').locator('.edited').waitFor();

  await act(bob, 'first thought', 'Reply');
  await say(bob, 'a good one');
  await row(ann, 'a good one').locator('.quote', { hasText: 'first thought' }).waitFor();

  await act(ann, 'a good one', 'React');
  await ann.locator('chat-room .quick').getByRole('button', { name: '🎉' }).click();
  await row(bob, 'a good one').locator('.reaction', { hasText: '1' }).click();
  await row(ann, 'a good one').locator('.reaction[aria-pressed="true"]', { hasText: '2' }).waitFor();
  await row(ann, 'a good one').locator('.reaction').click();
  await row(bob, 'a good one').locator('.reaction', { hasText: '1' }).waitFor();

  await act(bob, 'a good one', 'Delete');
  await sees(bob, 'a good one'); // the first press asks
  await bob.locator('chat-room .actions').getByRole('button', { name: 'Delete?' }).click();
  await sees(ann, 'Message deleted');
  assert.equal(await row(ann, 'a good one').count(), 0);
  // Bob may not touch what is Ann's.
  await row(bob, 'first thought').first().hover();
  assert.equal(await bob.locator('chat-room .actions .own').isVisible(), false);
  for (const p of [ann, bob]) await p.context().close();
});

test('Escape leaves an edit and brings the draft back; drafts survive a reload, per room', async () => {
  const ann = await person('Ann', { room: 'drafts' });
  await say(ann, 'kept');
  await sees(ann, 'kept');
  await input(ann).fill('half a th');
  await act(ann, 'kept', 'Edit');
  assert.equal(await input(ann).inputValue(), 'kept');
  await input(ann).press('Escape');
  assert.equal(await input(ann).inputValue(), 'half a th');
  await ann.reload();
  await until(ann, (root) => root.querySelector('textarea')?.value === 'half a th');
  const other = await person('Ann', { room: 'elsewhere', context: ann.context() });
  assert.equal(await input(other).inputValue(), '');
  await ann.context().close();
});

test('mentions are completed and shown', async () => {
  const [ann, bob] = [await person('Ann', { room: 'mentions' }), await person('Bob', { room: 'mentions' })];
  await ann.locator('chat-room .people-button', { hasText: '2' }).waitFor();
  await input(ann).pressSequentially('hey @b');
  await ann.locator('chat-room [role=option]', { hasText: 'Bob' }).waitFor();
  assert.equal(await input(ann).getAttribute('aria-activedescendant'), 'choice-0');
  await input(ann).press('Enter');
  assert.equal(await input(ann).inputValue(), 'hey @Bob ');
  await input(ann).press('Enter');
  await row(bob, 'hey').locator('.mention.me', { hasText: '@Bob' }).waitFor();
  for (const p of [ann, bob]) await p.context().close();
});

const HOSTILE = [
  '<img src=x onerror="window.hacked=1">', '<script>window.hacked=1</script>', '"><svg onload=window.hacked=1>',
  'javascript:window.hacked=1', '[x](javascript:window.hacked=1)', 'https://example.com/"onmouseover="window.hacked=1',
  '\u202egnp.exe', 'Z' + '\u0301'.repeat(200), '${window.hacked=1}', '{{constructor.constructor("window.hacked=1")()}}',
  '<chat-room room=x></chat-room>', '&lt;b&gt;', '\u0000\u001b[31mred',
];

test('hostile text stays text', async () => {
  await example.post('hostile', HOSTILE, 'eve');
  const eve = await person('<b>Eve', { room: 'hostile' });
  await say(eve, 'name');
  const ann = await person('Ann', { room: 'hostile' });
  await sees(ann, 'name');
  const texts = await ann.locator('chat-room .row .text').evaluateAll((els) => els.map((el) => el.textContent));
  for (const t of HOSTILE.slice(0, 12)) assert.ok(texts.includes(t), `${JSON.stringify(t)} is shown as written`);
  assert.deepEqual(await inside(ann, (root) => ({
    hacked: window.hacked, strange: root.querySelectorAll('.rows :is(img, svg[onload], script, b, chat-room, iframe)').length,
    links: [...root.querySelectorAll('.rows a')].map((a) => [a.href, a.rel, a.target]),
    names: [...root.querySelectorAll('.name')].at(-1).textContent,
  })), {
    hacked: undefined, strange: 0, links: [['https://example.com/', 'noopener noreferrer', '_blank']], names: '<b>Eve',
  });
  // Marks piled up by hundreds do not paint over the neighbours.
  assert.equal(await inside(ann, (root) => getComputedStyle(root.querySelector('.text')).overflow), 'hidden');
  for (const p of [ann, eve]) await p.context().close();
});

test('the slots, parts, strings and styles of a host', async () => {
  const ann = await person('Ann', { room: 'slots' });
  await say(ann, 'about this');
  await sees(ann, 'about this');
  const seen = await ann.evaluate(() => {
    const el = document.querySelector('chat-room');
    for (const slot of ['header', 'composer-start', 'composer-end', 'message-actions']) {
      const b = document.createElement('button');
      b.slot = slot;
      b.textContent = slot;
      // The pointer may leave the row a moment after the click: what counts is whose action it was.
      b.addEventListener('click', () => { b.dataset.picked = el.activeMessage?.text ?? 'none'; });
      el.append(b);
    }
    el.addStyles('.bubble { letter-spacing: 1px }');
    el.strings = { send: 'Away with it' };
    return [...el.shadowRoot.querySelectorAll('[part]')].map((e) => e.getAttribute('part')).join(' ');
  });
  for (const part of ['room', 'header', 'messages', 'jump', 'typing', 'composer', 'input', 'send', 'people', 'banner']) assert.ok(seen.split(' ').includes(part), part);
  await ann.getByRole('button', { name: 'Away with it' }).waitFor();
  await sees(ann, 'about this');
  assert.equal(await ann.locator('chat-room .bubble').first().evaluate((e) => getComputedStyle(e).letterSpacing), '1px');
  await row(ann, 'about this').hover();
  await ann.locator('button[slot="message-actions"]').click();
  assert.equal(await ann.locator('button[slot="message-actions"]').getAttribute('data-picked'), 'about this');
  await ann.context().close();
});

test('the keyboard reaches everything', async () => {
  const ann = await person('Ann', { room: 'keys' });
  for (const t of ['one', 'two', 'three']) await say(ann, t);
  await until(ann, (root) => root.querySelectorAll('.row.sent').length === 3);
  await input(ann).press('Shift+Tab');
  const focused = () => inside(ann, (root) => root.activeElement?.querySelector?.('.text')?.textContent ?? root.activeElement?.getAttribute('aria-label') ?? root.activeElement?.tagName);
  for (let i = 0; i < 5 && (await focused()) !== 'three'; i++) await ann.keyboard.press('Shift+Tab');
  assert.equal(await focused(), 'three');
  await ann.keyboard.press('ArrowUp');
  assert.equal(await focused(), 'two');
  await ann.keyboard.press('Tab');
  assert.equal(await focused(), 'React');
  await ann.keyboard.press('Escape');
  assert.equal(await focused(), 'two');
  await ann.keyboard.press('?');
  await ann.locator('chat-room dialog[open]').waitFor();
  await ann.keyboard.press('Escape');
  await until(ann, (root) => !root.querySelector('dialog[open]'));
  await ann.keyboard.press('Escape');
  assert.equal(await inside(ann, (root) => root.activeElement.tagName), 'TEXTAREA');
  await ann.context().close();
});

test('another room in the same element leaves the first one, another language does not', async () => {
  const ann = await person('Ann', { room: 'room-a' });
  await say(ann, 'in a');
  await sees(ann, 'in a');
  const states = await ann.evaluate(async () => {
    const el = document.querySelector('chat-room');
    const a = el.chat.room('room-a');
    el.setAttribute('lang', 'zh-CN');
    await null;
    await null;
    const before = a.state;
    el.room = 'room-b';
    await new Promise((resolve) => setTimeout(resolve));
    return [before, a.state];
  });
  assert.deepEqual(states, ['joined', 'left']);
  await ann.locator('chat-room .pane', { hasText: '还没有消息' }).waitFor();
  await ann.evaluate(() => (document.querySelector('chat-room').room = 'room-a'));
  await sees(ann, 'in a');
  await ann.context().close();
});
