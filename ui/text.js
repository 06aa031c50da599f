/**
 * A message's text as DOM nodes: links, mentions and a small part of Markdown
 * (**bold**, *italic*, ~~struck~~, `code`, fenced code, > quotes). Nothing in a
 * text can become anything else.
 */

import { h } from './dom.js';

/** A line of a text, for a quote: without what it quotes itself and without marks. @param {string} text */
export function excerpt(text) {
  return text.replace(/^>.*$/gm, '').replace(/```|\*\*|~~|`/g, '').trim().slice(0, 160);
}

/** Nesting beyond this stays as typed. */
const MAX_DEPTH = 3;

// A link ends at white space, at quotes and angle brackets, and at full-width punctuation.
const LINK = /https?:\/\/(?!\/)[^\s<>"'`\u3000-\u3002\u3008-\u3011\u2018-\u201d\uff01\uff08\uff09\uff0c\uff1a\uff1b\uff1f\u2026]+/iu;
const INLINE = new RegExp(
  [
    '`(?<code>[^`\\n]+)`',
    `(?<link>${LINK.source})`,
    '\\*\\*(?=\\S)(?<strong>[^\\n]*?[^\\s*])\\*\\*',
    '~~(?=\\S)(?<s>[^~\\n]*[^\\s~])~~',
    '(?<![\\p{L}\\p{N}*])\\*(?=[^\\s*])(?<em>[^*\\n]*[^\\s*])\\*(?![\\p{L}\\p{N}*])',
    '(?<![\\p{L}\\p{N}_])_(?=[^\\s_])(?<em2>[^_\\n]*[^\\s_])_(?![\\p{L}\\p{N}_])',
    '(?<at>@)',
  ].join('|'),
  'giu',
);

/**
 * @param {string} text
 * @param {{names?: Iterable<string>, me?: string}} [people] names that `@` may mention, and the own one
 * @returns {DocumentFragment}
 */
export function renderText(text, { names = [], me = '' } = {}) {
  const known = [...new Set(names)].filter(Boolean).sort((a, b) => b.length - a.length);
  const out = document.createDocumentFragment();
  const lines = text.split('\n');
  /** @type {string[]} */
  let plain = [];
  const flush = () => {
    if (plain.length) inline(out, plain.join('\n'), { known, me }, 0);
    plain = [];
  };
  for (let i = 0; i < lines.length; i++) {
    const end = lines[i].startsWith('```') ? lines.indexOf('```', i + 1) : -1;
    if (end > 0) {
      flush();
      out.append(h('pre', { tabindex: 0 }, h('code', null, lines.slice(i + 1, end).join('\n'))));
      i = end;
    } else if (/^> ?\S/.test(lines[i])) {
      flush();
      const quote = h('blockquote');
      let j = i;
      while (j < lines.length && lines[j].startsWith('>')) j++;
      inline(quote, lines.slice(i, j).map((l) => l.replace(/^> ?/, '')).join('\n'), { known, me }, 0);
      out.append(quote);
      i = j - 1;
    } else {
      plain.push(lines[i]);
    }
  }
  flush();
  return out;
}

/** @param {Node & ParentNode} out @param {string} text @param {{known: string[], me: string}} people @param {number} depth */
function inline(out, text, people, depth) {
  let at = 0;
  for (const m of depth > MAX_DEPTH ? [] : text.matchAll(INLINE)) {
    if (m.index < at) continue;
    const node = element(m, text, people, depth);
    if (!node) continue;
    if (m.index > at) out.append(text.slice(at, m.index));
    out.append(node.el);
    at = m.index + node.length;
  }
  if (at < text.length) out.append(text.slice(at));
}

/** @param {RegExpMatchArray} m @param {string} text @param {{known: string[], me: string}} people @param {number} depth */
function element(m, text, people, depth) {
  const { code, link, strong, s, em, em2, at } = m.groups ?? {};
  if (code) return { el: h('code', null, code), length: m[0].length };
  if (link) return anchor(link);
  if (at) return mention(text, m.index ?? 0, people);
  const el = h(strong ? 'strong' : s ? 's' : 'em');
  inline(el, strong ?? s ?? em ?? em2, people, depth + 1);
  return { el, length: m[0].length };
}

/** @param {string} raw */
function anchor(raw) {
  let text = raw.replace(/[.,;:!?*_~]+$/, '');
  // A closing bracket belongs to the link only with its opening one.
  while (/[)\]}]$/.test(text) && unbalanced(text)) text = text.slice(0, -1).replace(/[.,;:!?*_~]+$/, '');
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return null;
  return { el: h('a', { href: text, target: '_blank', rel: 'noopener noreferrer' }, text), length: text.length };
}

/** @param {string} text */
function unbalanced(text) {
  const close = text[text.length - 1];
  const open = { ')': '(', ']': '[', '}': '{' }[close] ?? '';
  return text.split(open).length < text.split(close).length;
}

/** Letters of scripts that put spaces between words; 你好@小明吃了吗 needs none. */
const WORD = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{N}_]/u;

/** @param {string} text @param {number} at @param {{known: string[], me: string}} people */
function mention(text, at, { known, me }) {
  if (WORD.test(text[at - 1] ?? '')) return null;
  const rest = text.slice(at + 1, at + 65).toLowerCase();
  const whole = (/** @type {string} */ n) => !(WORD.test(n.at(-1) ?? '') && WORD.test(rest[n.length] ?? ''));
  const name = known.find((n) => rest.startsWith(n.toLowerCase()) && whole(n));
  if (!name) return null;
  const length = name.length + 1;
  return { el: h(name === me ? 'span.mention.me' : 'span.mention', null, h('bdi', null, text.slice(at, at + length))), length };
}
