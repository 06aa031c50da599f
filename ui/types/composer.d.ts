/** Where one writes: drafts, replies, edits, mentions, and an Enter key that knows input methods. */
export type Message = import('./list.js').Message;
export type UI = import('./ui.js').UI;
export declare class Composer {
    #private;
    el: any;
    /** @param {UI} ui @param {{sent: () => void, lastOwn: () => Message | undefined}} on */
    constructor(ui: UI, { sent, lastOwn }: {
        sent: () => void;
        lastOwn: () => Message | undefined;
    });
    close(): void;
    focus(): void;
    /** @param {boolean} on whether one can write here at all */
    enable(on: boolean): void;
    /** @param {Message} message */
    reply(message: Message): void;
    /** @param {Message} message */
    edit(message: Message): void;
    /** Shows why something did not work. @param {any} error */
    fail(error: any): void;
    /** The draft of this user and room. */
    restore(): void;
}
