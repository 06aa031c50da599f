/** Building DOM without markup strings: text is always text. */

const SVG = 'http://www.w3.org/2000/svg';

/** @typedef {Node | string | null | undefined | false} Kid */

/**
 * An element: h('button.quiet', {part: 'jump', onclick: f, hidden: true}, 'text', node).
 * Names that start with "on" are listeners, `class` adds to the tag's, true sets an
 * empty attribute, false, null and undefined set none.
 * @param {string} tag @param {Record<string, any> | null} [props] @param {...Kid} kids
 * @returns {any} the caller knows the tag
 */
export function h(tag, props, ...kids) {
  const [name, ...classes] = tag.split('.');
  const el = document.createElement(name);
  if (classes.length) el.className = classes.join(' ');
  for (const [k, v] of Object.entries(props ?? {})) {
    if (k.startsWith('on')) el.addEventListener(k.slice(2), v);
    else if (v !== false && v !== null && v !== undefined) el.setAttribute(k, v === true ? '' : v);
  }
  el.append(...kids.filter((k) => k !== null && k !== undefined && k !== false).map((k) => /** @type {Node | string} */ (k)));
  return el;
}

/** Stroked paths on a 24 by 24 grid. */
const PATHS = {
  send: 'M5 12h13M12 5l7 7-7 7',
  smile: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18M8.5 14.5c1.8 2.3 5.2 2.3 7 0M9 9.5v.1M15 9.5v.1',
  reply: 'M9 7l-5 5 5 5M4 12h10a6 6 0 0 1 6 6v1',
  edit: 'M4 20l1-4L16 5l3 3L8 19zM14 7l3 3',
  trash: 'M5 7h14M10 7V5h4v2M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7M3 20c0-3.5 2.5-5.5 6-5.5s6 2 6 5.5M16 4.5a3.5 3.5 0 0 1 0 6M17.5 14.8c2.2.7 3.5 2.4 3.5 5.2',
  down: 'M12 5v14M6 13l6 6 6-6',
  close: 'M6 6l12 12M18 6L6 18',
  help: 'M9.2 9.2a2.9 2.9 0 1 1 4.3 2.6c-1 .6-1.5 1.1-1.5 2.2M12 17.5v.1M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18',
  clock: 'M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18M12 7v5l3 2',
  alert: 'M12 8v5M12 16.5v.1M12 21a9 9 0 1 1 0-18 9 9 0 0 1 0 18',
  check: 'M5 13l4 4L19 7',
  bubble: 'M5 5h14a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-7l-5 4v-4H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z',
  lock: 'M7 11h10a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1M8.5 11V8a3.5 3.5 0 0 1 7 0v3',
};

/** @param {keyof typeof PATHS} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg');
  const path = document.createElementNS(SVG, 'path');
  for (const [k, v] of [['viewBox', '0 0 24 24'], ['class', 'icon'], ['aria-hidden', 'true']]) svg.setAttribute(k, v);
  path.setAttribute('d', PATHS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows an icon and says a label. @param {keyof typeof PATHS} name @param {string} label @param {(e: Event) => void} onclick @param {Record<string, any>} [props] */
export function iconButton(name, label, onclick, props) {
  return h('button.icon-button', { type: 'button', title: label, 'aria-label': label, onclick, ...props }, icon(name));
}
