import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import { test } from 'node:test';
import { open, row, say, sees, setup } from './harness.js';

const { example, browser } = await setup();

test('files come with their type and an ETag, and 304 when they are known', async () => {
  for (const [path, type] of [['', /^text\/html/], ['ui/client.js', /^text\/javascript/], ['ui/chatroom.js', /^text\/javascript/]]) {
    const res = await fetch(`${example.url}/Ann/${path}`);
    assert.equal(res.status, 200);
    assert.match(res.headers.get('content-type'), type);
    const again = await fetch(`${example.url}/Ann/${path}`, { headers: { 'if-none-match': res.headers.get('etag') } });
    assert.equal(again.status, 304, path);
  }
});

const POLICY = "default-src 'self'; script-src 'self'; style-src 'self'";

/** A reverse proxy that serves /deep/er/… as the example's /…, as a host behind a sub-path sees it. */
async function proxy(extra = {}) {
  const target = new URL(example.url);
  const forward = (req) => request({ host: target.hostname, port: target.port, path: req.url.replace(/^\/deep\/er/, ''), method: req.method, headers: req.headers });
  const server = createServer((req, res) => {
    const up = forward(req).on('response', (r) => {
      res.writeHead(r.statusCode, { ...r.headers, ...extra });
      r.pipe(res);
    });
    req.pipe(up);
  });
  server.on('upgrade', (req, socket, head) => {
    forward(req).on('upgrade', (res, up, first) => {
      const lines = Object.entries(res.headers).map(([k, v]) => `${k}: ${v}\r\n`).join('');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines}\r\n`);
      socket.write(first);
      up.write(head);
      up.pipe(socket).pipe(up);
      for (const s of [up, socket]) s.on('error', () => {});
    }).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('works under a strict Content-Security-Policy without one violation', async () => {
  const server = await proxy({ 'content-security-policy': `${POLICY}; img-src 'self' data:` });
  const context = await browser.newContext({ reducedMotion: 'reduce' });
  await context.addInitScript(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sourceFile}`));
  });
  const page = await context.newPage();
  const response = await page.goto(`http://127.0.0.1:${server.address().port}/deep/er/Ann/?room=csp`);
  assert.ok((await response.headerValue('content-security-policy')).startsWith(POLICY));
  await open(page);
  await say(page, 'a **bold** https://example.com word');
  await sees(page, 'bold');
  await row(page, 'bold').hover();
  await page.locator('chat-room .help-button').click();
  assert.equal(await page.locator('chat-room dialog').evaluate((e) => getComputedStyle(e).borderRadius), '14.4px', 'the styles apply');
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  await context.close();
  server.closeAllConnections();
  server.close();
});

test('works behind a proxy on a sub-path, under StripPrefix', async () => {
  const server = await proxy();
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/deep/er/Ann/?room=proxied`);
  await open(page);
  await say(page, 'through the proxy');
  await row(page, 'through the proxy').and(page.locator('.sent')).waitFor();
  assert.deepEqual((await example.history('proxied')).map((m) => m.text), ['through the proxy']);
  await context.close();
  server.closeAllConnections();
  server.close();
});
