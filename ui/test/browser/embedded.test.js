// The second example: a host with its own login, pages, styles and policy.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, open, row, say, sees, setup } from './harness.js';

const { browser, example } = await setup({ dir: 'examples/embedded' });

async function signIn(name) {
  const context = await browser.newContext({ reducedMotion: 'reduce', viewport: { width: 1100, height: 760 } });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI}`));
  });
  const page = await context.newPage();
  await page.goto(example.url);
  await page.getByRole('button', { name }).click();
  await open(page);
  return page;
}

test("the host's session says who one is; the element and the bare client show the same room", async () => {
  const [ann, bob] = [await signIn('Ann Ash'), await signIn('Bob Birch')];
  await bob.goto(`${example.url}/ticker`);
  await bob.locator('#status', { hasText: 'open, 2 here' }).waitFor();
  await say(ann, 'The oak is here.');
  await bob.locator('#ticker li', { hasText: 'Ann Ash: The oak is here.' }).waitFor();
  await bob.locator('input').fill('On my way <b>now</b>');
  await bob.locator('input').press('Enter');
  await sees(ann, 'On my way <b>now</b>');
  assert.equal(await row(ann, 'On my way').locator('.name').innerText(), 'Bob Birch');
  assert.equal(await ann.locator('chat-room').evaluate((el) => getComputedStyle(el.shadowRoot.querySelector('.room')).backgroundColor), 'rgb(255, 253, 248)');
  for (const p of [ann, bob]) assert.deepEqual(await p.evaluate(() => window.violations), []);
  for (const p of [ann, bob]) await p.context().close();
});

test('without a session the chat says so and stops trying', async () => {
  const ann = await signIn('Ann Ash');
  await say(ann, 'one last word');
  await row(ann, 'one last word').and(ann.locator('.sent')).waitFor();
  await ann.context().clearCookies();
  await ann.evaluate(() => window.dispatchEvent(new Event('offline')));
  await ann.locator('chat-room .banner', { hasText: 'You are signed out' }).waitFor();
  await eventually(() => ann.evaluate(() => document.querySelector('chat-room').chat.status === 'closed'));
  await ann.context().close();
});
