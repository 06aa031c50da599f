// Makes the pictures of docs/ from the real page, and keeps them honest: each shows
// what its name says, or the test fails. Written only with PICTURES=1.

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { act, eventually, input, repo, row, say, sees, setup, until } from './harness.js';

const { person } = await setup();

async function picture(page, name) {
  await page.mouse.move(1, 1);
  await until(page, (root) => root.getAnimations?.().every((a) => a.playState === 'finished') ?? true);
  const png = await page.screenshot({ caret: 'hide' });
  assert.ok(png.length > 5000, 'something is on it');
  if (!process.env.PICTURES) return;
  mkdirSync(`${repo}docs`, { recursive: true });
  writeFileSync(`${repo}docs/${name}.png`, png);
}

const WIDE = { viewport: { width: 1040, height: 720 }, deviceScaleFactor: 1.5 };
const PHONE = { viewport: { width: 390, height: 780 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };

async function talk(room, [a, b, c], [one, two, three, four, five, six]) {
  const people = [await person(a, { room }), await person(b, { room }), await person(c, { room })];
  const [ann, bob, cleo] = people;
  await say(ann, one);
  await sees(bob, one.slice(0, 4));
  await say(ann, two);
  await sees(cleo, two.slice(0, 4));
  await say(bob, three);
  await sees(cleo, three.slice(0, 4));
  await say(cleo, four);
  await sees(bob, four.slice(0, 4));
  await act(bob, four.slice(0, 4), /React|回应/);
  await bob.locator('chat-room .quick button').nth(3).click();
  await act(bob, two.slice(0, 9), /Reply|回复/);
  await say(bob, five);
  await sees(ann, five.slice(0, 4));
  await row(ann, four.slice(0, 4)).locator('.reaction').click();
  await say(ann, six);
  await sees(bob, six.slice(0, 4));
  return people;
}

const ENGLISH = [
  'Morning! **v1.4** went out half an hour ago.', 'Release notes: https://example.com/notes/1.4',
  'Nice. `make release` took how long this time?', 'Three minutes. That is a new record 🎉',
  'The second link in there is broken, I will fix it.', 'Thank you @Bob! Coffee at three?',
];
const CHINESE = [
  '早上好！**v1.4** 半小时前已经发布了。', '发布说明：https://example.com/notes/1.4，有空看看。', '太好了。这次 `make release` 用了多久？',
  '三分钟，又创了新纪录 🎉', '里面第二个链接坏了，我来修。', '谢谢 @李雷！三点喝咖啡？',
];

test('light, dark, phone and offline', async () => {
  const [ann, bob, cleo] = await talk('launch', ['Ann', 'Bob', 'Cleo'], ENGLISH);
  const light = await person('Bob', { room: 'launch', ...WIDE, colorScheme: 'light' });
  await light.locator('chat-room .people-button').click();
  // Typing is told once in 3 s, and Cleo has just written something.
  await eventually(async () => {
    await input(cleo).press('y');
    return light.locator('chat-room .typing.on').isVisible();
  });
  await picture(light, 'light');
  const dark = await person('Bob', { room: 'launch', ...WIDE, colorScheme: 'dark' });
  await sees(dark, 'Thank you');
  await picture(dark, 'dark');
  const phone = await person('Ann', { room: 'launch', ...PHONE });
  await sees(phone, 'Thank you');
  await picture(phone, 'phone');
  const offline = await person('Bob', { room: 'launch', ...WIDE });
  await sees(offline, 'Thank you');
  await offline.context().setOffline(true);
  await offline.locator('chat-room .banner', { hasText: 'offline' }).waitFor();
  await say(offline, 'Three is fine.');
  await say(offline, 'I am on the train, this will arrive when there is a network.');
  await row(offline, 'on the train').locator('.state').waitFor();
  await offline.waitForFunction((t) => performance.now() > t, (await offline.evaluate(() => performance.now())) + 900);
  await picture(offline, 'offline');
  for (const p of [ann, bob, cleo, light, dark, phone, offline]) await p.context().close();
});

test('Chinese', async () => {
  const people = await talk('发布', ['王小明', '李雷', '韩梅梅'], CHINESE);
  const page = await person('李雷', { room: '发布', ...PHONE, locale: 'zh-CN' });
  await sees(page, '谢谢');
  await picture(page, 'chinese');
  for (const p of [...people, page]) await p.context().close();
});
