/**
 * The list of messages. It shows a window of at most MAX_ROWS of the room's
 * messages and moves it with the reader; what is far away is trimmed.
 *
 * Everything that changes the DOM goes through #move, which keeps the place of
 * what the reader looks at, or the end when the reader is there. Jumps wait for
 * each other in one queue.
 */
import { Actions } from './row.js';
export type Message = import('./list.js').Message;
export type UI = import('./ui.js').UI;
export type Row = import('./row.js').Row;
export declare class Timeline {
    #private;
    onRead: () => void;
    el: any;
    /** The reader sees the newest message. */
    atEnd: boolean;
    /** Messages that came since the reader left the end. */
    missed: number;
    actions: Actions;
    /** @param {UI} ui @param {{onRead: () => void}} on */
    constructor(ui: UI, on: {
        onRead: () => void;
    });
    close(): void;
    /** Draws what changed, at most once per frame. */
    update(): void;
    draw(): void;
    /** A message came in live. @param {Message} m */
    arrived(m: Message): void;
    /** The reader wrote something: everything before it counts as read. */
    sent(): Promise<unknown>;
    /** The mark moved on another device. */
    readElsewhere(): void;
    /** To the newest message. */
    latest({ smooth }?: {
        smooth?: boolean | undefined;
    }): Promise<unknown>;
    /** To a message, wherever it is in the history, and points it out. @param {number} seq */
    jumpTo(seq: number): Promise<unknown>;
    /** The own message that ↑ edits. */
    lastOwn(): import("./list.js").Message | undefined;
}
