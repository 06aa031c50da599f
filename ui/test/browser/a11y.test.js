import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { act, inside, input, row, say, sees, setup, until } from './harness.js';

const { person, example } = await setup();
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe-core finds wrong with the page as it is. */
async function violations(page) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations', 'incomplete'] }));
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.flat()} ${n.failureSummary}`).join(' | ')}`);
}

async function fill(room) {
  await example.post(room, ['Hello **there**, see https://example.com', '`code`', '```\nfenced code\n```', '> quoted\nand answered', 'a `b` *c* ~~d~~'], 'Bob');
}

for (const [name, options] of [
  ['light', { colorScheme: 'light' }],
  ['dark', { colorScheme: 'dark' }],
  ['phone', { viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true }],
  ['Chinese', { locale: 'zh-CN' }],
]) {
  test(`axe finds nothing: ${name}`, async () => {
    const room = `axe-${name}`;
    await fill(room);
    const ann = await person('Ann', { room, ...options });
    await say(ann, 'mine, for @Bob0');
    if (name === 'phone') await ann.locator('chat-room .send').tap();
    await row(ann, 'mine').first().and(ann.locator('.sent')).waitFor();
    assert.deepEqual(await violations(ann), []);
    if (name === 'light' || name === 'dark') {
      await act(ann, 'mine', 'Reply');
      await ann.locator('chat-room .people-button').click();
      await row(ann, 'fenced').hover();
      await ann.locator('chat-room .actions').getByRole('button', { name: 'React' }).click();
      assert.deepEqual(await violations(ann), [], 'with a reply, people and reactions open');
      await ann.locator('chat-room .quick button').first().click();
      await ann.locator('chat-room .reaction').waitFor();
      await input(ann).fill('@');
      await input(ann).press('End');
      await ann.locator('chat-room .help-button').click();
      assert.deepEqual(await violations(ann), [], 'with help open');
    }
    await ann.context().close();
  });
}

test('axe finds nothing: a room that one cannot see', async () => {
  const ann = await person('Ann', { room: ' not a name ', ready: false });
  await ann.getByText('You cannot see this room').waitFor();
  assert.equal(await input(ann).isDisabled(), true);
  assert.deepEqual(await violations(ann), []);
  await ann.context().close();
});

test('axe finds nothing: empty, offline, a message that waits', async () => {
  const ann = await person('Ann', { room: 'axe-empty' });
  assert.deepEqual(await violations(ann), []);
  await ann.context().setOffline(true);
  await ann.locator('chat-room .banner', { hasText: 'offline' }).waitFor();
  await say(ann, 'waiting');
  await until(ann, (root) => root.querySelector('.pending .state')?.getAnimations().every((a) => a.playState === 'finished'));
  assert.deepEqual(await violations(ann), []);
  await ann.context().close();
});

test('the live region speaks new messages of others, and nothing else', async () => {
  const room = 'spoken';
  await fill(room);
  const [ann, bob] = [await person('Ann', { room }), await person('Bob', { room })];
  await sees(ann, 'fenced');
  await inside(ann, (root) => {
    window.spoken = [];
    const region = root.querySelector('.spoken');
    new MutationObserver(() => window.spoken.push(region.innerText || region.textContent)).observe(region, { childList: true, subtree: true, characterData: true });
  });
  assert.equal(await inside(ann, (root) => root.querySelector('[aria-live="polite"].spoken').textContent), '', 'history is not spoken');
  assert.equal(await ann.locator('chat-room [role=log]').getAttribute('aria-live'), 'off');
  await say(ann, 'my own');
  await say(bob, 'one');
  await say(bob, 'two');
  await until(ann, () => window.spoken.length > 0);
  const spoken = await ann.evaluate(() => window.spoken.join('|'));
  assert.match(spoken, /Bob: one/);
  assert.doesNotMatch(spoken, /my own|fenced|there/);
  await act(bob, 'two', 'Edit');
  await input(bob).fill('two, corrected');
  await input(bob).press('Enter');
  await sees(ann, 'two, corrected');
  assert.doesNotMatch(await ann.evaluate(() => window.spoken.join('|')), /corrected/);
  for (const p of [ann, bob]) await p.context().close();
});
