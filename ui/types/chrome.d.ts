/** What stands around the messages: header, people, typing, the connection, the voice for screen readers, help. */
export type UI = import('./ui.js').UI;
export type Message = import('./list.js').Message;
export type Strings = import('./strings.js').Strings;
/** The room's name, who is here, help. @param {UI} ui @param {() => void} togglePeople */
export declare function header(ui: UI, togglePeople: () => void): {
    el: any;
    people: any;
    update(): void;
};
/** The list of who is here. @param {UI} ui @param {() => void} close */
export declare function peoplePanel(ui: UI, close: () => void): {
    el: any;
    update(): void;
};
/** Who is typing, in a line that is always there. @param {UI} ui */
export declare function typingLine(ui: UI): {
    el: any;
    update(): void;
};
/** What the connection does, when it does not simply work. @param {UI} ui */
export declare function banner(ui: UI): {
    el: any;
    close: () => void;
    update(): void;
};
/** Speaks new messages of others, and nothing else. @param {UI} ui */
export declare function voice(ui: UI): {
    el: any;
    close: () => void;
    /** @param {Message} m */
    arrived(m: Message): void;
};
/** The keys, in a dialog. @param {UI} ui */
export declare function helpDialog(ui: UI): any;
/** What is shown instead of messages. @param {UI} ui */
export declare function pane(ui: UI): {
    el: any;
    update(): void;
};
