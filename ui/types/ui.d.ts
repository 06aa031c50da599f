/** What the parts of the element share. */
export type Message = import('./list.js').Message;
export type User = import('./list.js').User;
export type UI = {
    chat: import('./client.js').Chat;
    room: import('./room.js').Room;
    lang: string;
    t: ReturnType<typeof import('./strings.js').translator>;
    root: ShadowRoot;
    /**
     * shows why something did not work
     */
    fail: (error: unknown) => void;
    /**
     * puts the cursor where one writes
     */
    compose: () => void;
    reply: (message: Message) => void;
    edit: (message: Message) => void;
    help: () => void;
};
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
export declare function clockTime(ui: UI, ms: number): string;
/** A day for the separators. @param {UI} ui @param {number} ms @param {number} now */
export declare function dayName(ui: UI, ms: number, now: number): string;
/** @param {number} ms */
export declare function midnight(ms: number): number;
/** Letters for an avatar: a Chinese given name, or two initials. @param {string} name */
export declare function initials(name: string): string;
/** A colour that stays the person's own. @param {string} id */
export declare function hue(id: string): number;
/** Everybody whose name is known, for mentions. @param {UI} ui @returns {User[]} */
export declare function knownPeople(ui: UI): User[];
/** Touch screens: no hover, no Enter that sends. */
export declare const coarse: () => boolean;
export declare const still: () => boolean;
