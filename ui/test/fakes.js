// A socket, a clock and a storage that tests hold in their hands.

import { connect } from '../client.js';

/** Time that moves only when told. */
export class Clock {
  time = 1_790_000_000_000;
  #next = 1;
  #timers = new Map();
  now = () => this.time;
  setTimeout = (f, ms) => {
    this.#timers.set(this.#next, { f, at: this.time + Math.max(0, ms) });
    return this.#next++;
  };
  clearTimeout = (id) => void this.#timers.delete(id);
  get pending() {
    return this.#timers.size;
  }
  /** Moves on, running what falls due in order, each followed by its microtasks. */
  async tick(ms) {
    const end = this.time + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort((a, b) => a[1].at - b[1].at || a[0] - b[0])[0];
      if (!due) break;
      this.time = Math.max(this.time, due[1].at);
      this.#timers.delete(due[0]);
      due[1].f();
      await settled();
    }
    this.time = end;
    await settled();
  }
}

/** Until all microtasks have run. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

export class FakeStorage {
  map = new Map();
  get length() {
    return this.map.size;
  }
  key(i) {
    return [...this.map.keys()][i] ?? null;
  }
  getItem(k) {
    return this.map.get(k) ?? null;
  }
  setItem(k, v) {
    this.map.set(k, String(v));
  }
  removeItem(k) {
    this.map.delete(k);
  }
}

export const HELLO = {
  event: 'hello', protocol: 1, user: { id: 'u1', name: 'Ann' }, session: 's', heartbeat_ms: 25000,
  limits: { frame_bytes: 16384, text_bytes: 8192, text_runes: 4000, history: 100, rooms: 100 },
};

/** A client on fake sockets, and the server's end of them. */
export class World {
  clock = new Clock();
  sockets = [];
  window = new EventTarget();
  document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  #rng = 1;

  constructor({ storage = new FakeStorage(), seed = 1, ...env } = {}) {
    this.#rng = seed;
    this.storage = storage;
    const world = this;
    class FakeSocket {
      sent = [];
      closedWith = null;
      constructor(url, protocols) {
        Object.assign(this, { url, protocols });
        world.sockets.push(this);
      }
      send(text) {
        this.sent.push(JSON.parse(text));
      }
      close(code) {
        this.closedWith ??= code;
      }
    }
    this.env = {
      WebSocket: FakeSocket, ...this.clock, storage, window: this.window, document: this.document,
      // A small LCG: tests that depend on chance are the same every time.
      random: () => (this.#rng = (this.#rng * 1103515245 + 12345) % 2 ** 31) / 2 ** 31,
      ...env,
    };
    this.chat = connect({ url: 'ws://host/chat/ws', ...this.env });
  }

  get socket() {
    return this.sockets.at(-1);
  }

  /** A frame from the server. */
  async say(frame) {
    this.socket.onmessage({ data: JSON.stringify(frame) });
    await settled();
  }

  /** Several in one go, as one TCP segment may bring them. */
  async sayAll(...frames) {
    for (const f of frames) this.socket.onmessage({ data: JSON.stringify(f) });
    await settled();
  }

  hello(more) {
    return this.say({ ...HELLO, ...more });
  }

  async close(code, reason = '') {
    this.socket.onclose({ code, reason });
    await settled();
  }

  /** The last request of that kind on the current socket. */
  asked(op) {
    return this.socket.sent.findLast((f) => f.op === op);
  }

  countOf(op) {
    return this.socket.sent.filter((f) => f.op === op).length;
  }

  reply(op, fields) {
    return this.say({ id: this.asked(op).id, ok: true, ...fields });
  }

  refuse(op, code, more) {
    return this.say({ id: this.asked(op).id, error: { code, message: code, ...more } });
  }

  /** A room, joined with a page. */
  async joined({ messages = [], head = messages.at(-1)?.seq ?? 0, has_more = false, name = 'lobby', ...more } = {}) {
    const room = this.chat.room(name);
    if (this.chat.status !== 'open') await this.hello();
    await this.reply('join', { room: name, head, recovered: false, messages, has_more, members: [], member_count: 1, presence_v: 1, ...more });
    return room;
  }
}

export const BOB = { id: 'u2', name: 'Bob' };
export const ANN = { id: 'u1', name: 'Ann' };

export const message = (seq, text = `m${seq}`, more = {}) => ({ seq, from: BOB, text, at: '2026-09-21T14:13:20Z', ...more });
export const event = (seq, prev, more = {}) => ({
  event: 'message', room: 'lobby', seq, prev, from: BOB, text: `m${seq}`, at: '2026-09-21T14:13:20Z', ...more,
});
export const texts = (room) => room.messages.map((m) => m.text);

/** Loses the connection and is back, up to the join request. */
export async function reconnect(w) {
  await w.close(1006);
  await w.clock.tick(30_000);
  await w.hello();
}
