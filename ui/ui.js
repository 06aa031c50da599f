/** What the parts of the element share. */

/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./list.js').User} User */
/**
 * @typedef {object} UI
 * @property {import('./client.js').Chat} chat
 * @property {import('./room.js').Room} room
 * @property {string} lang
 * @property {ReturnType<typeof import('./strings.js').translator>} t
 * @property {ShadowRoot} root
 * @property {(error: unknown) => void} fail shows why something did not work
 * @property {() => void} compose puts the cursor where one writes
 * @property {(message: Message) => void} reply
 * @property {(message: Message) => void} edit
 * @property {() => void} help
 */

/** Time of day, as the language writes it. @param {UI} ui @param {number} ms */
export function clockTime(ui, ms) {
  return new Intl.DateTimeFormat(ui.lang, { hour: 'numeric', minute: '2-digit' }).format(ms);
}

/** A day for the separators. @param {UI} ui @param {number} ms @param {number} now */
export function dayName(ui, ms, now) {
  const days = Math.round((midnight(now) - midnight(ms)) / 86_400_000);
  if (days === 0) return ui.t('today');
  if (days === 1) return ui.t('yesterday');
  const year = new Date(ms).getFullYear() === new Date(now).getFullYear() ? undefined : 'numeric';
  return new Intl.DateTimeFormat(ui.lang, { weekday: 'long', month: 'long', day: 'numeric', year }).format(ms);
}

/** @param {number} ms */
export function midnight(ms) {
  return new Date(ms).setHours(0, 0, 0, 0);
}

/** Letters for an avatar: a Chinese given name, or two initials. @param {string} name */
export function initials(name) {
  if (/\p{Script=Han}/u.test(name)) return [...name].slice(-2).join('');
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((w) => [...w][0].toUpperCase()).join('') || '?';
}

/** A colour that stays the person's own. @param {string} id */
export function hue(id) {
  let n = 0;
  for (const c of id) n = (n * 31 + (c.codePointAt(0) ?? 0)) % 3600;
  return (n * 137) % 360;
}

/** Everybody whose name is known, for mentions. @param {UI} ui @returns {User[]} */
export function knownPeople(ui) {
  /** @type {Map<string, User>} */
  const people = new Map((ui.room.members ?? []).map((u) => [u.id, u]));
  for (const m of ui.room.messages) if (!people.has(m.from.id)) people.set(m.from.id, m.from);
  return [...people.values()];
}

/** Touch screens: no hover, no Enter that sends. */
export const coarse = () => matchMedia('(pointer: coarse)').matches;
export const still = () => matchMedia('(prefers-reduced-motion: reduce)').matches;
