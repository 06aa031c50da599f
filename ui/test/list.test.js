import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MessageList } from '../list.js';

const me = { id: 'u1', name: 'Ann' };

/** A repeatable source of chance. */
function chance(seed) {
  let s = seed;
  const next = () => (s = (Math.imul(s, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return { next, int: (n) => Math.floor(next() * n), pick: (a) => a[Math.floor(next() * a.length)] };
}

/** A server in few lines: what a room's messages look like after its events. */
class Model {
  messages = new Map();
  events = [];
  seq = 1000;
  dead = new Set();

  step(r) {
    const seq = (this.seq += 1 + r.int(5));
    const from = r.pick([me, { id: 'u2', name: 'Bob' }, { id: 'u3', name: 'Eve' }]);
    const alive = [...this.messages.values()].filter((m) => !m.deleted);
    const target = alive.length ? r.pick(alive) : null;
    const kind = target ? r.pick(['message', 'message', 'edit', 'react', 'react', 'react', 'delete', 'retract']) : 'message';
    const e = { event: kind, room: 'r', seq, from };
    if (kind === 'message') {
      Object.assign(e, { text: `t${seq}`, key: `k${seq}` });
      this.messages.set(seq, { seq, from, text: e.text, key: e.key, reactions: [] });
    } else {
      e.target = target.seq;
      if (kind === 'edit') Object.assign(target, { text: (e.text = `e${seq}`), edited: seq });
      if (kind === 'delete') Object.assign(target, { text: '', deleted: true, reactions: [] });
      if (kind === 'retract') this.messages.delete(target.seq);
      if (kind === 'react' && !this.react(e, target, from.id, r)) return;
    }
    this.events.push(e);
  }

  react(e, m, user, r) {
    e.emoji = r.pick(['👍', '❤️']);
    const had = m.reactions.find((x) => x.emoji === e.emoji);
    e.on = !had?.users.includes(user);
    if (e.on && had) had.users.push(user);
    else if (e.on) m.reactions.push({ emoji: e.emoji, users: [user] });
    else had.users.splice(had.users.indexOf(user), 1);
    m.reactions = m.reactions.filter((x) => x.users.length);
    return true;
  }

  /** As a page shows them. */
  page() {
    return structuredClone([...this.messages.values()]).map((m) => ({
      ...m, reactions: m.reactions.map((x) => ({ ...x, count: x.users.length })),
    }));
  }
}

/** What of a list has to agree; the order of users and emoji is not promised between a page and its events. */
const shown = (messages) => messages.map((m) => ({
  seq: m.seq, text: m.text, edited: m.edited ?? 0, deleted: !!m.deleted,
  reactions: (m.reactions ?? []).map((x) => `${x.emoji} ${x.count} ${[...x.users].sort()}`).sort(),
}));

function shuffled(items, r) {
  const a = [...items];
  for (let i = a.length - 1; i > 0; i--) {
    const j = r.int(i + 1);
    [a[i], a[j]] = [a[j], a[i]];
  }
  return a;
}

test('any order of the same events gives the same list', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const r = chance(seed);
    const model = new Model();
    for (let i = 0; i < 60; i++) model.step(r);
    const list = new MessageList();
    list.me = me;
    const some = model.events.filter(() => r.next() < 0.3); // and some of them twice
    for (const e of shuffled([...model.events, ...some], r)) list.apply(e);
    assert.deepEqual(shown(list.run(Infinity).messages), shown(model.page()), `seed ${seed}`);
  }
});

test('pages taken at any moment, among events in any order, give the same list', () => {
  for (let seed = 1; seed <= 300; seed++) {
    const r = chance(seed);
    const model = new Model();
    const steps = [];
    for (let i = 0; i < 60; i++) {
      model.step(r);
      if (i % 20 === 10) steps.push({ page: model.page() });
    }
    for (const e of model.events) steps.push({ event: e });
    const list = new MessageList();
    list.me = me;
    for (const s of shuffled(steps, r)) {
      if (s.event) list.apply(s.event);
      else list.page(s.page, { lo: 0, hi: Infinity });
    }
    assert.deepEqual(shown(list.run(Infinity).messages), shown(model.page()), `seed ${seed}`);
  }
});

test('a rewind forgets exactly what was above it', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const r = chance(seed);
    const model = new Model();
    const cut = 20 + r.int(20);
    let before;
    let after;
    for (let i = 0; i < 60; i++) {
      if (i === cut) [before, after] = [model.page(), model.seq];
      model.step(r);
    }
    const list = new MessageList();
    list.me = me;
    for (const e of shuffled(model.events, r)) list.apply(e);
    list.rewind(after);
    assert.deepEqual(shown(list.run(Infinity).messages), shown(before), `seed ${seed}`);
  }
});

const msg = (seq, more) => ({ seq, from: { id: 'u2', name: 'Bob' }, text: `m${seq}`, ...more });
const seqs = (run) => run.messages.map((m) => m.seq);

test('runs of history stay apart until what lies between is loaded', () => {
  const list = new MessageList();
  list.page([msg(90), msg(91)], { lo: 90, hi: Infinity, older: true });
  list.page([msg(10), msg(11), msg(12)], { lo: 10, hi: 12, older: true, newer: true });
  assert.deepEqual(seqs(list.run(Infinity)), [90, 91]);
  assert.deepEqual(list.run(11), { ...list.run(11), hasOlder: true, hasNewer: true });
  assert.deepEqual(seqs(list.run(11)), [10, 11, 12]);
  list.apply({ event: 'message', ...msg(95) });
  assert.deepEqual(seqs(list.run(11)), [10, 11, 12]);
  list.page([msg(12), msg(50)], { lo: 12, hi: 90, older: true });
  assert.deepEqual(seqs(list.run(Infinity)), [10, 11, 12, 50, 90, 91, 95]);
  assert.equal(list.run(Infinity).hasOlder, true);
  list.page([msg(5)], { lo: 0, hi: 10 });
  assert.equal(list.run(Infinity).hasOlder, false);
});

test('a page that overlaps what is loaded makes no gap in it', () => {
  const list = new MessageList();
  list.page([msg(1), msg(2), msg(3)], { lo: 0, hi: Infinity });
  list.page([msg(2), msg(3)], { lo: 2, hi: Infinity, older: true });
  assert.deepEqual(seqs(list.run(Infinity)), [1, 2, 3]);
});

test('a pending message keeps its identity when it is sent, and is never shown twice', () => {
  const list = new MessageList();
  list.me = me;
  list.putPending({ key: 'a', text: 'one', at: 1 });
  list.putPending({ key: 'b', text: 'two', at: 2 });
  const [{ id }] = list.run(Infinity).messages;
  list.apply({ event: 'message', seq: 7, from: me, key: 'a', text: 'one' });
  const views = list.run(Infinity).messages;
  assert.deepEqual(views.map((m) => [m.text, m.state]), [['one', 'sent'], ['two', 'pending']]);
  assert.equal(views[0].id, id);
  list.confirm('a', 7);
  list.confirm('b', 9);
  assert.deepEqual(seqs(list.run(Infinity)), [7, 9]);
  list.apply({ event: 'message', seq: 9, from: me, key: 'b', text: 'two' });
  assert.deepEqual(seqs(list.run(Infinity)), [7, 9]);
});

test("somebody else's key never hides an own pending message", () => {
  const list = new MessageList();
  list.me = me;
  list.putPending({ key: 'a', text: 'mine', at: 1 });
  list.apply({ event: 'message', seq: 7, from: { id: 'u2', name: 'Bob' }, key: 'a', text: 'his' });
  assert.deepEqual(list.run(Infinity).messages.map((m) => m.text), ['his', 'mine']);
});

test('a message shown and lost by the server is pending again', () => {
  const list = new MessageList();
  list.me = me;
  list.putPending({ key: 'a', text: 'one', at: 1 });
  list.apply({ event: 'message', seq: 7, from: me, key: 'a', text: 'one' });
  list.rewind(5);
  assert.deepEqual(list.run(Infinity).messages.map((m) => m.state), ['pending']);
});

test('an unchanged message is the same object, a changed one is another', () => {
  const list = new MessageList();
  for (const seq of [1, 2]) list.apply({ event: 'message', ...msg(seq) });
  const [a, b] = list.run(Infinity).messages;
  list.apply({ event: 'edit', seq: 3, target: 2, text: 'new', from: { id: 'u2' } });
  const [a2, b2] = list.run(Infinity).messages;
  assert.equal(a, a2);
  assert.notEqual(b, b2);
  assert.equal(b2.text, 'new');
});

test('reactions of people the page does not name are counted', () => {
  const list = new MessageList();
  list.me = me;
  const reactions = [{ emoji: '👍', count: 150, users: ['u2'] }];
  list.page([msg(1, { reactions })], { lo: 0, hi: Infinity });
  list.apply({ event: 'react', seq: 2, target: 1, from: me, emoji: '👍', on: true });
  list.apply({ event: 'react', seq: 3, target: 1, from: { id: 'u9' }, emoji: '👍', on: false });
  const [r] = list.get(1).reactions;
  assert.equal(r.count, 150);
  assert.equal(r.mine, true);
});

test('a reaction toggled for days and edits of messages not loaded cost bounded memory', () => {
  const list = new MessageList();
  list.apply({ event: 'message', ...msg(1) });
  for (let seq = 2; seq < 5002; seq++) {
    list.apply({ event: 'react', seq, target: 1, from: me, emoji: '👍', on: seq % 2 === 0 });
    list.apply({ event: 'edit', seq: seq + 10_000, target: seq + 20_000, text: 'x', from: me });
  }
  assert.deepEqual(list.get(1).reactions, []);
  list.apply({ event: 'message', ...msg(20_002) }); // its edit was dropped with the oldest
  assert.equal(list.get(20_002).text, 'm20002');
  list.apply({ event: 'message', ...msg(25_001) });
  assert.equal(list.get(25_001).text, 'x');
});

test('trim keeps the live end and remembers that there is more', () => {
  const list = new MessageList();
  for (let seq = 1; seq <= 10; seq++) list.apply({ event: 'message', ...msg(seq) });
  list.trim(3);
  assert.deepEqual(seqs(list.run(Infinity)), [8, 9, 10]);
  assert.equal(list.run(Infinity).hasOlder, true);
  list.page([msg(6), msg(7)], { lo: 6, hi: 8, older: true });
  assert.deepEqual(seqs(list.run(Infinity)), [6, 7, 8, 9, 10]);
});
