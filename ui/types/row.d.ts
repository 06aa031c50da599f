/** One message as DOM. */
export type Message = import('./list.js').Message;
export type UI = import('./ui.js').UI;
export type Row = {
    el: HTMLElement;
    content: HTMLElement;
    avatar: HTMLElement;
    message: Message | null;
    head: boolean;
    quoted: string;
};
/** @typedef {import('./list.js').Message} Message */
/** @typedef {import('./ui.js').UI} UI */
/** @typedef {{el: HTMLElement, content: HTMLElement, avatar: HTMLElement, message: Message | null, head: boolean, quoted: string}} Row what it shows; `quoted` is what it shows of other things than its message */
/** @returns {Row} */
export declare function newRow(): Row;
/**
 * Makes the row show the message. Focus inside survives.
 * @param {Row} row @param {Message} m
 * @param {boolean} head first of its sender's group: shows who and when
 * @param {UI} ui @param {(seq: number) => void} jump
 */
export declare function updateRow(row: Row, m: Message, head: boolean, ui: UI, jump: (seq: number) => void): void;
/** The buttons on a message; one set, which moves to the message that is looked at. */
export declare class Actions {
    #private;
    /** @type {Row | null} */
    row: Row | null;
    el: any;
    /** @param {UI} ui */
    constructor(ui: UI);
    /** The message they are for. */
    get message(): import("./list.js").Message | null;
    /** Moves to a row, or away. @param {Row | null} row */
    show(row: Row | null): void;
    /** Does somebody use them right now? */
    get busy(): any;
}
