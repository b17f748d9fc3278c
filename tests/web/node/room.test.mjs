/** A room of the JavaScript client, over fake sockets and a fake clock. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { connect, ConnectionLost, EventsUnread, CommandRefused } from "../../../chat_actors/web/client/chat-client.mjs";
import { websocketUrl } from "../../../chat_actors/web/client/chat.mjs";

const identity = { userId: "alice", publicPem: "PEM", sign: async () => "sig" };
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Replaces `WebSocket`. The test calls its methods in place of the server. */
class FakeSocket {
  static OPEN = 1;
  static made = [];
  readyState = 0;
  sent = [];

  constructor() {
    FakeSocket.made.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close() {
    this.readyState = 2;
  }

  open() {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }

  deliver(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** Open the connection, and answer the login and the join. */
  async admit(fields = {}) {
    this.open();
    this.deliver({ type: "challenge", challenge: "AAAA" });
    await turn();
    this.deliver({ type: "authenticated", userId: "alice" });
    this.deliver({ type: "joined", roomId: "lobby", id: this.sent.at(-1).id, seq: 0, ...fields });
  }

  deliverMessages(from, to) {
    for (let seq = from; seq <= to; seq += 1) {
      this.deliver({ type: "chat_message", userId: "bob", roomId: "lobby", content: `${seq}`, seq });
    }
  }
}

const latest = () => FakeSocket.made.at(-1);
const OriginalWebSocket = globalThis.WebSocket;

beforeEach(() => {
  globalThis.WebSocket = FakeSocket;
  FakeSocket.made = [];
  mock.timers.enable({ apis: ["setTimeout"] });
});

afterEach(() => {
  globalThis.WebSocket = OriginalWebSocket;
  mock.timers.reset();
});

const chat = () => connect("http://localhost:1", identity, { random: () => 0.5 });

test("a failed connection is reported and tried again", async () => {
  const room = chat().room("lobby");
  latest().onerror({}); // Node 20 fires no other event
  mock.timers.tick(1);
  const { type, milliseconds } = await room.receive();
  assert.deepEqual([type, milliseconds], ["reconnecting", 250]);
  assert.equal(FakeSocket.made.length, 1);
  mock.timers.tick(250);
  assert.equal(FakeSocket.made.length, 2);
  room.leave();
});

test("join fails at once without a server", async () => {
  const joining = chat().join("lobby");
  latest().onclose({ code: 1006, reason: "" });
  await assert.rejects(joining, (error) => {
    assert.ok(error instanceof ConnectionLost);
    assert.match(error.message, /^ws:\/\/localhost:1\/ws: no connection could be made/);
    return true;
  });
  mock.timers.tick(60_000);
  assert.equal(FakeSocket.made.length, 1);
});

test("a broken connection is not reported as never made", async () => {
  const room = chat().room("lobby");
  latest().open();
  latest().onclose({ code: 1006, reason: "" });
  assert.equal((await room.receive()).why, "the connection broke");
  room.leave();
});

test("an address needs no scheme; a bad one is refused", () => {
  assert.equal(websocketUrl("127.0.0.1:8080"), "ws://127.0.0.1:8080/ws");
  assert.equal(websocketUrl("https://chat.example"), "wss://chat.example/ws");
  assert.equal(websocketUrl("wss://chat.example/chat"), "wss://chat.example/chat");
  for (const bad of ["", "http://", "two words"]) assert.throws(() => websocketUrl(bad), /is not an address/);
});

test("the close code counts after an error event", async () => {
  const room = chat().room("lobby");
  const socket = latest();
  socket.onerror({});
  socket.onclose({ code: 4003, reason: "origin" });
  mock.timers.tick(1);
  await assert.rejects(room.receive(), (error) => error instanceof ConnectionLost && error.code === 4003);
});

test("a challenge that cannot be signed ends the room", async () => {
  for (const challenge of ["no base64!", undefined, 5]) {
    const room = chat().room("lobby");
    latest().open();
    latest().deliver({ type: "challenge", challenge });
    await turn();
    await assert.rejects(room.receive(), ConnectionLost);
  }
});

test("1009 fails the message, a second 1009 the room", async () => {
  const room = chat().room("lobby");
  await latest().admit();
  const post = room.say("x");
  latest().onclose({ code: 1009, reason: "" });
  await assert.rejects(post, CommandRefused);
  mock.timers.tick(0);
  assert.equal(FakeSocket.made.length, 2);
  latest().open();
  latest().onclose({ code: 1009, reason: "" });
  await assert.rejects(async () => {
    for await (const event of room) assert.notEqual(event, null);
  }, ConnectionLost);
  assert.equal(FakeSocket.made.length, 2);
});

test("a request behind unread events fails; events stay", async () => {
  const room = chat().room("lobby");
  await latest().admit();
  const post = room.say("hello");
  latest().deliverMessages(1, 5_000);
  assert.equal(latest().readyState, 2); // the client has disconnected
  mock.timers.tick(6_000);
  const secondPost = room.say("are you there?");
  mock.timers.tick(4_000);
  await assert.rejects(post, EventsUnread);
  await assert.rejects(secondPost, EventsUnread);
  for (let count = 0; count < 5_000; count += 1) await room.receive();
  assert.equal(FakeSocket.made.length, 2);
  room.leave();
});

test("a request survives unread events that are read", async () => {
  const room = chat().room("lobby");
  await latest().admit();
  const post = room.say("hello");
  latest().deliverMessages(1, 5_000);
  mock.timers.tick(9_000);
  for (let count = 0; count < 5_000; count += 1) await room.receive();
  const [before, after] = FakeSocket.made;
  await after.admit({ recovered: true, missed: 0 });
  mock.timers.tick(9_000);
  const { id } = before.sent.at(-1);
  assert.equal(after.sent.at(-1).id, id);
  after.deliver({ type: "accepted", id, clientMsgId: id, seq: 5_001 });
  assert.equal((await post).seq, 5_001);
  room.leave();
});

test("events do not block a room with listen: false", async () => {
  const joining = chat().join("lobby", { listen: false });
  await latest().admit();
  const room = await joining;
  latest().deliverMessages(1, 12_000);
  assert.equal(latest().readyState, FakeSocket.OPEN);
  const post = room.say("hello");
  const { id } = latest().sent.at(-1);
  latest().deliver({ type: "accepted", id, clientMsgId: id, seq: 12_001 });
  assert.equal((await post).seq, 12_001);
  room.leave();
});
