import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { Window } from 'happy-dom';

let renderText, excerpt;
before(async () => {
  globalThis.document = new Window().document;
  ({ renderText, excerpt } = await import('../text.js'));
});

/** The nodes as a short notation: [tag content]. */
const shape = (node) => [...node.childNodes].map((n) => (n.nodeType === 3 ? n.data : `[${n.localName}${n.className ? '.' + n.className : ''} ${shape(n)}]`)).join('');
const show = (text, people) => shape(renderText(text, people));
const links = (text) => {
  const found = [];
  const walk = (n) => {
    if (n.localName === 'a') found.push(n.getAttribute('href'));
    n.childNodes.forEach(walk);
  };
  walk(renderText(text));
  return found;
};

for (const [text, want] of [
  ['plain <b>text</b> & more', 'plain <b>text</b> & more'],
  ['**bold** and *soft* and _soft_ and ~~gone~~', '[strong bold] and [em soft] and [em soft] and [s gone]'],
  ['**bold with *soft* in it**', '[strong bold with [em soft] in it]'],
  ['2 * 3 * 4 and snake_case_name and ** not bold **', '2 * 3 * 4 and snake_case_name and ** not bold **'],
  ['`code **stays** code`', '[code code **stays** code]'],
  ['```\nlet a = *1*;\n```\nafter', '[pre [code let a = *1*;]]after'],
  ['```\nnever closed', '```\nnever closed'],
  ['> quoted\n> more\nanswer', '[blockquote quoted\nmore]answer'],
  ['a > b', 'a > b'],
  ['**** ** * ~~~~ `` __', '**** ** * ~~~~ `` __'],
]) {
  test(`text: ${JSON.stringify(text)}`, () => assert.equal(show(text), want));
}

for (const [text, want] of [
  ['see https://example.com/a?b=c#d.', ['https://example.com/a?b=c#d']],
  ['（https://example.com/路径）', ['https://example.com/路径']],
  ['看https://example.com，很好。https://example.org】', ['https://example.com', 'https://example.org']],
  ['(https://en.wikipedia.org/wiki/Go_(game))', ['https://en.wikipedia.org/wiki/Go_(game)']],
  ['**https://example.com**', ['https://example.com']],
  ['javascript:alert(1) data:text/html,x vbscript:x file:///etc/passwd ftp://x', []],
  ['https:// http:///x https://"onclick=', []],
  ['HTTPS://EXAMPLE.COM', ['HTTPS://EXAMPLE.COM']],
  ['`https://example.com`', []],
]) {
  test(`links: ${text}`, () => assert.deepEqual(links(text), want));
}

for (const [text, want] of [
  ['@Ann hi', '[span.mention me [bdi @Ann]] hi'],
  ['hi @bob birch!', 'hi [span.mention [bdi @bob birch]]!'],
  ['你好@小明吃了吗', '你好[span.mention [bdi @小明]]吃了吗'],
  ['mail ann@Ann.example and @Annabel', 'mail ann@Ann.example and @Annabel'],
  ['@nobody', '@nobody'],
]) {
  test(`mentions: ${text}`, () => assert.equal(show(text, { names: ['Ann', 'Bob Birch', '小明', 'Bob'], me: 'Ann' }), want));
}

test('a text is never lost: what is shown is what was written, without its marks', () => {
  let seed = 7;
  const pick = (s) => s[(seed = (seed * 1103515245 + 12345) % 2 ** 31) % s.length];
  const pieces = ['*', '**', '_', '~~', '`', '```\n', '> ', '\n', 'a', 'b c', '@Ann', 'https://x.yz/', '，', ')', '\u202e', '<i>'];
  for (let i = 0; i < 500; i++) {
    const text = Array.from({ length: 1 + (i % 30) }, () => pick(pieces)).join('');
    const bare = (s) => s.replace(/[*_~`>\s]/g, '');
    assert.equal(bare(renderText(text, { names: ['Ann'] }).textContent), bare(text), JSON.stringify(text));
  }
});

test('the worst texts of the allowed length are quick', () => {
  for (const unit of ['*', '**a ', '_a', '~~', '`', '@', '> ', '```\n', 'https://', '(', '**a*']) {
    const began = performance.now();
    renderText(unit.repeat(Math.ceil(4000 / unit.length)), { names: ['Ann'] });
    const took = performance.now() - began;
    assert.ok(took < 1000, `${JSON.stringify(unit)} took ${Math.round(took)} ms`);
  }
});

test('an excerpt leaves quotes and marks out', () => {
  assert.equal(excerpt('> what he said\n**so** it is `true`'), 'so it is true');
});
