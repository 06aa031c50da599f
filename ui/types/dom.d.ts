/** Building DOM without markup strings: text is always text. */
export type Kid = Node | string | null | undefined | false;
/** @typedef {Node | string | null | undefined | false} Kid */
/**
 * An element: h('button.quiet', {part: 'jump', onclick: f, hidden: true}, 'text', node).
 * Names that start with "on" are listeners, `class` adds to the tag's, true sets an
 * empty attribute, false, null and undefined set none.
 * @param {string} tag @param {Record<string, any> | null} [props] @param {...Kid} kids
 * @returns {any} the caller knows the tag
 */
export declare function h(tag: string, props?: Record<string, any> | null, ...kids: Kid[]): any;
/** Stroked paths on a 24 by 24 grid. */
declare const PATHS: {
    send: string;
    smile: string;
    reply: string;
    edit: string;
    trash: string;
    people: string;
    down: string;
    close: string;
    help: string;
    clock: string;
    alert: string;
    check: string;
    bubble: string;
    lock: string;
};
/** @param {keyof typeof PATHS} name */
export declare function icon(name: keyof typeof PATHS): SVGSVGElement;
/** A button that shows an icon and says a label. @param {keyof typeof PATHS} name @param {string} label @param {(e: Event) => void} onclick @param {Record<string, any>} [props] */
export declare function iconButton(name: keyof typeof PATHS, label: string, onclick: (e: Event) => void, props?: Record<string, any>): any;
export {};
