/**
 * `<chat-room room="lobby">`: a whole chat room as one element.
 *
 * Attributes: `room`; `lang` (default: the page's, then the browser's; Chinese and
 * English are here); `theme`: `light`, `dark` or by default what the system says.
 * Slots: header, empty, composer-start, composer-end, message-actions. Every region
 * has a `part`, every colour and size a `--chat-*` variable (styles.js).
 */
export type Chat = import('./client.js').Chat;
export type Message = import('./list.js').Message;
export type Strings = import('./strings.js').Strings;
export type UI = import('./ui.js').UI;
export declare class ChatRoom extends HTMLElement {
    #private;
    static observedAttributes: string[];
    constructor();
    /** The room's name. */
    get room(): string;
    set room(name: string);
    /** The connection: one for the page unless the host gives its own, which it then closes itself. @returns {Chat | null} */
    get chat(): Chat | null;
    set chat(chat: Chat | null);
    /** Words that differ from the language's own. @returns {Partial<Strings>} */
    get strings(): Partial<Strings>;
    set strings(strings: Partial<Strings>);
    /** The message whose actions are shown: what a button in the slot message-actions is about. @returns {Message | null} */
    get activeMessage(): Message | null;
    /** Adds rules to the element's own. @param {string | CSSStyleSheet} css */
    addStyles(css: string | CSSStyleSheet): void;
    /** Puts the cursor where one writes. */
    focus(): void;
    connectedCallback(): void;
    disconnectedCallback(): void;
    /** @param {string} name @param {string | null} before @param {string | null} value */
    attributeChangedCallback(name: string, before: string | null, value: string | null): void;
}
