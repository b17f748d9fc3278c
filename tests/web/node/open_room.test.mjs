/** An open room and the login form of the page, over rooms and a server that the test controls. */

import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { AccessRefused, CommandRefused, ConnectionLost } from "../../../chat_actors/web/client/chat-client.mjs";
import { loginProblem } from "../../../chat_actors/web/app/login-form.mjs";
import { OpenRoom } from "../../../chat_actors/web/app/open-room.mjs";
import { EventQueue } from "../../../chat_actors/web/client/event-queue.mjs";

const turn = () => new Promise((resolve) => setImmediate(resolve));
const watcher = { changed: () => {}, received: () => {}, failed: () => {}, isRead: () => true };
const message = (seq) => ({ type: "chat_message", userId: "bob", content: `text ${seq}`, seq, timestamp: "2026-01-01T10:00:00.000Z" });

/** A room of the client, with a history that answers or throws. */
class FakeRoom {
  id = "lobby";
  events = new EventQueue();
  pages = [];

  constructor(history) {
    this.answer = history;
  }

  async members() {
    return { members: [], count: 0 };
  }

  async history(page) {
    this.pages.push(page);
    return this.answer();
  }

  async *[Symbol.asyncIterator]() {
    for (let event = await this.events.next(); event !== null; event = await this.events.next()) yield event;
  }
}

const lose = () => {
  throw new ConnectionLost("gone");
};

test("history that failed with its room is loaded by the next", async () => {
  const first = new FakeRoom(lose);
  const open = new OpenRoom(first, "alice", undefined, watcher, Date.now);
  const listening = open.listen();
  first.events.push({ type: "entered", seq: 10, missed: 0 });
  await turn();
  first.events.end(new ConnectionLost("gone"));
  await listening;
  assert.ok(open.hasHistory); // so that the problem is shown
  assert.equal(open.lastSeq, 10);
  const second = new FakeRoom(() => ({ messages: [9, 10, 11].map(message), more: true }));
  void open.rejoin(second);
  second.events.push({ type: "entered", seq: 11, missed: 1 });
  second.events.push(message(11));
  await turn();
  assert.deepEqual(second.pages.map(({ before }) => before), [12]);
  assert.deepEqual(open.timeline.rows.flatMap(({ seq }) => seq ?? []), [9, 10, 11]);
  assert.ok(open.timeline.hasOlder);
});

test("history that the server refuses is not requested again", async () => {
  const room = new FakeRoom(() => {
    throw new CommandRefused("no history", "no_history");
  });
  const open = new OpenRoom(room, "alice", undefined, watcher, Date.now);
  void open.listen();
  room.events.push({ type: "entered", seq: 10, missed: 0 });
  await turn();
  room.events.push({ type: "entered", seq: 10, missed: 0 });
  await turn();
  assert.equal(room.pages.length, 1);
  assert.ok(!open.timeline.hasOlder);
});

const OriginalFetch = globalThis.fetch;
afterEach(() => (globalThis.fetch = OriginalFetch));

test("a failed login shows the reason of the server", async () => {
  globalThis.location = { origin: "http://elsewhere" };
  let probes = 0;
  globalThis.fetch = async () => ({ ok: (probes += 1) > 0 });
  assert.match(await loginProblem(new ConnectionLost("the server is busy", 1013), "alice"), /the server is busy/);
  assert.match(await loginProblem(new ConnectionLost("the connection broke"), "alice"), /the connection broke/);
  assert.match(await loginProblem(new AccessRefused("log in", "no", "invalid_signature"), "alice"), /is taken/);
  assert.equal(probes, 0);
  assert.match(await loginProblem(new ConnectionLost("not opened", undefined, true), "alice"), /http:..elsewhere/);
  assert.equal(probes, 1);
});
