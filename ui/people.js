/** Who is in a room and who is typing there (PROTOCOL.md §6). Never certain, never history. */

/** @typedef {import('./list.js').User} User */

const TYPING_SHOWN_MS = 5000;

export class People {
  /** Null in rooms too big for a list. @type {User[] | null} */
  members = null;
  count = 0;
  /** The version of what is known; -1 while not joined. */
  #v = -1;
  /** @type {Map<string, {user: User, until: number}>} */
  #typists = new Map();
  #room;

  /** @param {{changed: () => void, ask: () => void, now: () => number, later: (ms: number, f: () => void) => void}} room ask is for the members request */
  constructor(room) {
    this.#room = room;
  }

  get typists() {
    return [...this.#typists.values()].map((t) => t.user);
  }

  /** @param {any} r a reply with members */
  set(r) {
    this.members = r.members ?? null;
    this.count = r.member_count;
    this.#v = r.presence_v;
    this.#room.changed();
  }

  /** The connection is gone: the list stays as the last thing known. */
  down() {
    this.#v = -1;
    this.#typists.clear();
    this.#room.changed();
  }

  /** @param {any} e */
  presence(e) {
    if (this.#v < 0 || e.v <= this.#v) return;
    if (e.v !== this.#v + 1) {
      this.#room.ask();
      return;
    }
    this.#v = e.v;
    this.count = e.count;
    if (!e.join && !e.leave) this.members = null;
    else if (this.members) {
      const gone = new Set([...(e.leave ?? []), ...(e.join ?? []).map((/** @type {User} */ u) => u.id)]);
      this.members = [...this.members.filter((u) => !gone.has(u.id)), ...(e.join ?? [])];
    }
    this.#room.changed();
  }

  /** @param {User} user */
  typing(user) {
    this.#typists.set(user.id, { user, until: this.#room.now() + TYPING_SHOWN_MS });
    this.#room.changed();
    this.#expire();
  }

  /** A message ends its writer's typing. @param {string} id */
  wrote(id) {
    if (this.#typists.delete(id)) this.#room.changed();
  }

  #expire() {
    const now = this.#room.now();
    for (const [id, t] of this.#typists) if (t.until <= now && this.#typists.delete(id)) this.#room.changed();
    const next = Math.min(...[...this.#typists.values()].map((t) => t.until));
    if (next < Infinity) this.#room.later(next - now, () => this.#expire());
  }
}
