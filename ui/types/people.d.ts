/** Who is in a room and who is typing there (PROTOCOL.md §6). Never certain, never history. */
export type User = import('./list.js').User;
export declare class People {
    #private;
    /** Null in rooms too big for a list. @type {User[] | null} */
    members: User[] | null;
    count: number;
    /** @param {{changed: () => void, ask: () => void, now: () => number, later: (ms: number, f: () => void) => void}} room ask is for the members request */
    constructor(room: {
        changed: () => void;
        ask: () => void;
        now: () => number;
        later: (ms: number, f: () => void) => void;
    });
    get typists(): import("./list.js").User[];
    /** @param {any} r a reply with members */
    set(r: any): void;
    /** The connection is gone: the list stays as the last thing known. */
    down(): void;
    /** @param {any} e */
    presence(e: any): void;
    /** @param {User} user */
    typing(user: User): void;
    /** A message ends its writer's typing. @param {string} id */
    wrote(id: string): void;
}
