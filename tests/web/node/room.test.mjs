/** A chat of the JavaScript client, over fake sockets and a fake clock. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { AccessRefused, CommandRefused, connect, ConnectionLost } from "../../../chat_actors/web/client/chat-client.mjs";
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

  /** Open the connection, and answer the login. */
  async logIn() {
    this.open();
    this.deliver({ type: "welcome", features: ["rooms"], limits: {} });
    this.deliver({ type: "challenge", challenge: "AAAA" });
    await turn();
    this.deliver({ type: "authenticated", userId: "alice" });
  }

  /** Open the connection, and answer the login and all joins. */
  async admit(fields = {}) {
    await this.logIn();
    for (const { type, roomId, id } of this.sent) if (type === "join") this.deliver({ type: "joined", roomId, id, seq: 0, ...fields });
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

test("join fails at once also if the room only sends", async () => {
  const joining = chat().join("lobby", { listen: false });
  latest().onclose({ code: 1006, reason: "" });
  await assert.rejects(joining, ConnectionLost);
});

test("all rooms share a connection, and are told of its loss", async () => {
  const alice = chat();
  const rooms = ["lobby", "garden", "attic"].map((id) => alice.room(id));
  await latest().admit();
  for (const room of rooms) assert.equal((await room.receive()).type, "entered");
  latest().onclose({ code: 1006, reason: "" });
  for (const room of rooms) assert.equal((await room.receive()).type, "reconnecting");
  alice.hurry();
  await latest().admit({ recovered: true, missed: 0 });
  for (const room of rooms) assert.equal((await room.receive()).type, "reconnected");
  assert.equal(FakeSocket.made.length, 2);
  alice.close();
  for (const room of rooms) assert.equal(await room.receive(), null);
  assert.equal(await alice.receive(), null);
  assert.equal(latest().readyState, 2);
});

test("the connection outlives its last room", async () => {
  const alice = chat();
  const room = alice.room("lobby");
  await latest().admit();
  alice.leave(room);
  assert.deepEqual(latest().sent.at(-1).type, "leave");
  alice.room("lobby");
  assert.deepEqual([latest().sent.at(-1).type, FakeSocket.made.length], ["join", 1]);
  alice.close();
});

test("logging in connects once, and rooms use it", async () => {
  const alice = chat();
  const login = alice.logIn();
  await latest().logIn();
  await login;
  await alice.logIn();
  alice.room("lobby");
  assert.equal(FakeSocket.made.length, 1);
  latest().deliver({ type: "direct_message", content: "psst" });
  for await (const { content } of alice) {
    assert.equal(content, "psst");
    break;
  }
  alice.close();
});

test("a login without a server fails and is not repeated", async () => {
  const alice = chat();
  const login = alice.logIn();
  latest().onclose({ code: 1006, reason: "" });
  await assert.rejects(login, ConnectionLost);
  mock.timers.tick(60_000);
  alice.hurry();
  assert.equal(FakeSocket.made.length, 1);
  const again = alice.logIn();
  await latest().logIn();
  await again;
  alice.close();
});

test("a refused login ends all rooms; a new room tries again", async () => {
  const alice = chat();
  const rooms = ["lobby", "garden"].map((id) => alice.room(id));
  latest().open();
  latest().deliver({ type: "error", code: "invalid_signature", message: "Invalid signature" });
  for (const room of rooms) await assert.rejects(room.receive(), AccessRefused);
  await assert.rejects(alice.receive(), AccessRefused);
  const room = alice.room("lobby");
  await latest().admit();
  assert.equal((await room.receive()).type, "entered");
  assert.equal(FakeSocket.made.length, 2);
  alice.close();
});

test("a chat without rooms does not connect by itself", () => {
  const alice = chat();
  alice.hurry();
  assert.equal(FakeSocket.made.length, 0);
});

test("pauses between connections start anew after a join", async () => {
  const alice = chat();
  const room = alice.room("lobby");
  for (let count = 0; count < 3; count += 1) {
    await latest().admit({ recovered: true, missed: 0 });
    await room.receive();
    latest().onclose({ code: 1006, reason: "" });
    assert.equal((await room.receive()).milliseconds, 250);
    alice.hurry();
  }
  alice.close();
});

test("what was begun on a lost connection ends with it", async () => {
  const alice = chat();
  alice.room("lobby");
  await latest().logIn();
  const { id } = latest().sent.find(({ type }) => type === "join");
  latest().deliver({ type: "error", id, code: "room_failed", message: "failed" });
  latest().onclose({ code: 1006, reason: "" });
  alice.hurry();
  latest().open();
  latest().deliver({ type: "challenge", challenge: "AAAA" }); // it is being signed
  latest().onclose({ code: 1006, reason: "" });
  alice.hurry();
  latest().open();
  mock.timers.tick(250);
  await turn();
  assert.deepEqual(latest().sent.map(({ type }) => type), ["hello", "get_challenge"]);
  alice.close();
});

test("a room that is open is not opened twice", async () => {
  const alice = chat();
  const room = alice.room("lobby");
  assert.throws(() => alice.room("lobby"), TypeError);
  alice.leave(room);
  alice.room("lobby");
  alice.close();
});

test("a join that is refused for now is repeated alone", async () => {
  const alice = chat();
  const [lobby, garden] = ["lobby", "garden"].map((id) => alice.room(id));
  await latest().logIn();
  const [first, second] = latest().sent.filter(({ type }) => type === "join");
  latest().deliver({ type: "error", id: first.id, code: "room_failed", message: "failed" });
  latest().deliver({ type: "joined", roomId: "garden", id: second.id, seq: 0 });
  assert.equal((await garden.receive()).type, "entered");
  assert.deepEqual((await lobby.receive()).milliseconds, 250);
  mock.timers.tick(250);
  assert.deepEqual([latest().sent.at(-1).type, latest().sent.at(-1).roomId], ["join", "lobby"]);
  assert.equal(FakeSocket.made.length, 1);
  alice.close();
});

test("a silent connection is pinged, then replaced", async () => {
  const alice = chat();
  const room = alice.room("lobby");
  await latest().admit();
  mock.timers.tick(25_000);
  assert.equal(latest().sent.at(-1).type, "ping");
  mock.timers.tick(10_000);
  assert.equal((await room.receive()).type, "entered");
  assert.equal((await room.receive()).why, "the server does not answer any more");
  alice.close();
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

test("a room that is not read holds up no other, nor its posts", async () => {
  const alice = chat();
  const [lobby, garden] = ["lobby", "garden"].map((id) => alice.room(id));
  await latest().admit();
  latest().deliverMessages(1, 5_000);
  assert.deepEqual([latest().sent.at(-1).type, latest().sent.at(-1).roomId], ["leave", "lobby"]);
  latest().deliver({ type: "chat_message", userId: "bob", roomId: "garden", content: "hi", seq: 1 });
  await garden.receive();
  assert.equal((await garden.receive()).content, "hi");
  const post = lobby.say("hello");
  const { id } = latest().sent.at(-1);
  latest().deliver({ type: "joined", roomId: "lobby", id, seq: 5_000 });
  const said = latest().sent.at(-1);
  latest().deliver({ type: "accepted", id: said.id, seq: 5_001 });
  assert.equal((await post).seq, 5_001);
  for (let count = 0; count < 5_000; count += 1) await lobby.receive();
  assert.deepEqual([latest().sent.at(-1).type, latest().sent.at(-1).since], ["join", 4_999]);
  assert.equal(FakeSocket.made.length, 1);
  alice.close();
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

test("a room that opens or hurries hurries no other", async () => {
  const alice = chat();
  const lobby = alice.room("lobby");
  await latest().logIn();
  const { id } = latest().sent.at(-1);
  latest().deliver({ type: "error", id, code: "too_many_rooms", message: "slow" });
  const garden = alice.room("garden");
  garden.hurry();
  const joins = () => latest().sent.filter(({ type }) => type === "join").map(({ roomId }) => roomId);
  assert.deepEqual(joins(), ["lobby", "garden"]);
  lobby.hurry();
  mock.timers.tick(250); // the pause that was cut short
  assert.deepEqual(joins(), ["lobby", "garden", "lobby"]);
  alice.close();
});

test("a failed join does not end the events of the chat", async () => {
  const alice = chat();
  const message = alice.receive();
  const joining = alice.join("lobby");
  latest().onclose({ code: 1006, reason: "" });
  await assert.rejects(joining, ConnectionLost);
  alice.room("lobby");
  await latest().logIn();
  latest().deliver({ type: "direct_message", content: "psst" });
  assert.equal((await message).content, "psst");
  alice.close();
});

test("a chat that was closed opens no room", async () => {
  const alice = chat();
  alice.close();
  assert.throws(() => alice.room("lobby"), ConnectionLost);
  await assert.rejects(alice.logIn(), ConnectionLost);
  assert.equal(FakeSocket.made.length, 0);
});

test("an error tells that no connection was opened", async () => {
  const cases = [
    [(socket) => socket.onclose({ code: 1006, reason: "" }), true],
    [(socket) => socket.onclose({ code: 1013, reason: "busy" }), false],
    [(socket) => (socket.open(), socket.onclose({ code: 1006, reason: "" })), false],
    [() => mock.timers.tick(30_000), true],
  ];
  for (const [end, isUnopened] of cases) {
    const login = chat().logIn();
    end(latest());
    await assert.rejects(login, (error) => error instanceof ConnectionLost && error.isUnopened === isUnopened);
  }
});
