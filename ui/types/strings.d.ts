/** What the element says. `{n}` and `{name}` are filled in; `one|many` is chosen by n. */
export type Strings = Record<keyof typeof en, string>;
/** @typedef {Record<keyof typeof en, string>} Strings */
export declare const en: {
    room: string;
    messages: string;
    people: string;
    peopleCount: string;
    tooMany: string;
    you: string;
    youName: string;
    today: string;
    yesterday: string;
    newMessages: string;
    jump: string;
    jumpCount: string;
    beginning: string;
    emptyTitle: string;
    emptyText: string;
    loading: string;
    loadingOlder: string;
    typing1: string;
    typing2: string;
    typingMany: string;
    placeholder: string;
    send: string;
    save: string;
    cancel: string;
    editing: string;
    replyingTo: string;
    edited: string;
    deleted: string;
    attachment: string;
    originalGone: string;
    actions: string;
    reactWith: string;
    reacted: string;
    andMore: string;
    react: string;
    reply: string;
    edit: string;
    delete: string;
    confirmDelete: string;
    sending: string;
    waiting: string;
    notSent: string;
    retry: string;
    discard: string;
    connecting: string;
    reconnecting: string;
    lost: string;
    offline: string;
    restarting: string;
    retryIn: string;
    tryNow: string;
    back: string;
    unauthorized: string;
    disconnected: string;
    unsupported_version: string;
    reload: string;
    noRoomTitle: string;
    noRoomText: string;
    removedTitle: string;
    removedText: string;
    help: string;
    keyEnter: string;
    keyShiftEnter: string;
    keyUp: string;
    keyArrows: string;
    keyEnd: string;
    keyEsc: string;
    mentions: string;
    left: string;
    said: string;
    saidMany: string;
    error: string;
    e_rate_limited: string;
    e_too_long: string;
    e_empty_message: string;
    e_forbidden: string;
    e_not_found: string;
    e_conflict: string;
    e_disconnected: string;
    e_outbox_full: string;
    e_expired: string;
    e_store_failed: string;
    e_other: string;
};
/** @type {Strings} */
export declare const zhCN: Strings;
/**
 * The strings for a language tag, with a host's own on top.
 * @param {string} lang @param {Partial<Strings>} [overrides]
 * @returns {(key: keyof Strings, values?: Record<string, any>) => string}
 */
export declare function translator(lang: string, overrides?: Partial<Strings>): (key: keyof Strings, values?: Record<string, any>) => string;
/** Why something failed, for people. @param {ReturnType<typeof translator>} t @param {{code: string, message: string}} error */
export declare function reason(t: ReturnType<typeof translator>, error: {
    code: string;
    message: string;
}): string;
