/** A room over sockets that do what a test wants, and on a clock of its own. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { connect, ConnectionLost, NobodyReads, NotSent } from "../../../chat_actors/web/client/chat-client.mjs";
import { websocketUrl } from "../../../chat_actors/web/client/chat.mjs";

const identity = { userId: "alice", publicPem: "PEM", sign: async () => "sig" };
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** What a browser and Node have, with the server's side by hand. */
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

  opens() {
    this.readyState = FakeSocket.OPEN;
    this.onopen?.();
  }

  says(message) {
    this.onmessage?.({ data: JSON.stringify(message) });
  }

  /** Let the user in, up to the answer to the join. */
  async letsIn(fields = {}) {
    this.opens();
    this.says({ type: "challenge", challenge: "AAAA" });
    await turn();
    this.says({ type: "authenticated", userId: "alice" });
    this.says({ type: "joined", roomId: "lobby", id: this.sent.at(-1).id, seq: 0, ...fields });
  }

  talks(from, to) {
    for (let seq = from; seq <= to; seq += 1) {
      this.says({ type: "chat_message", userId: "bob", roomId: "lobby", content: `${seq}`, seq });
    }
  }
}

const latest = () => FakeSocket.made.at(-1);
const itself = globalThis.WebSocket;

beforeEach(() => {
  globalThis.WebSocket = FakeSocket;
  FakeSocket.made = [];
  mock.timers.enable({ apis: ["setTimeout"] });
});

afterEach(() => {
  globalThis.WebSocket = itself;
  mock.timers.reset();
});

const chat = () => connect("http://localhost:1", identity, { random: () => 0.5 });

test("a connection that can not be made is tried again after a pause, and said to be", async () => {
  const room = chat().room("lobby");
  latest().onerror({}); // in Node 20 this is all that comes
  mock.timers.tick(1);
  const { type, milliseconds } = await room.receive();
  assert.deepEqual([type, milliseconds], ["reconnecting", 250]);
  assert.equal(FakeSocket.made.length, 1);
  mock.timers.tick(250);
  assert.equal(FakeSocket.made.length, 2);
  room.leave();
});

test("whoever joins is told at once that there is no server, and waits for none", async () => {
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

test("a connection that was made breaks, and is not said to have never been", async () => {
  const room = chat().room("lobby");
  latest().opens();
  latest().onclose({ code: 1006, reason: "" });
  assert.equal((await room.receive()).why, "the connection broke");
  room.leave();
});

test("an address without a scheme is one, and what is none is told", () => {
  assert.equal(websocketUrl("127.0.0.1:8080"), "ws://127.0.0.1:8080/ws");
  assert.equal(websocketUrl("https://chat.example"), "wss://chat.example/ws");
  assert.equal(websocketUrl("wss://chat.example/chat"), "wss://chat.example/chat");
  for (const none of ["", "http://", "two words"]) assert.throws(() => websocketUrl(none), /is no address/);
});

test("of a connection that fails and says how it was closed, the close counts", async () => {
  const room = chat().room("lobby");
  const socket = latest();
  socket.onerror({});
  socket.onclose({ code: 4003, reason: "origin" });
  mock.timers.tick(1);
  await assert.rejects(room.receive(), (error) => error instanceof ConnectionLost && error.code === 4003);
});

test("a challenge that can not be signed is the end, and nothing is left unhandled", async () => {
  for (const challenge of ["no base64!", undefined, 5]) {
    const room = chat().room("lobby");
    latest().opens();
    latest().says({ type: "challenge", challenge });
    await turn();
    await assert.rejects(room.receive(), ConnectionLost);
  }
});

test("a message that is too long is refused, and a server that takes none is not asked again and again", async () => {
  const room = chat().room("lobby");
  await latest().letsIn();
  const said = room.say("x");
  latest().onclose({ code: 1009, reason: "" });
  await assert.rejects(said, NotSent);
  mock.timers.tick(0);
  assert.equal(FakeSocket.made.length, 2);
  latest().opens();
  latest().onclose({ code: 1009, reason: "" });
  await assert.rejects(async () => {
    for await (const event of room) assert.notEqual(event, null);
  }, ConnectionLost);
  assert.equal(FakeSocket.made.length, 2);
});

test("whoever waits for an answer behind what nobody reads is told, and all is there when they read", async () => {
  const room = chat().room("lobby");
  await latest().letsIn();
  const said = room.say("hello");
  latest().talks(1, 5_000);
  assert.equal(latest().readyState, 2); // the server is not read from
  mock.timers.tick(6_000);
  const saidLater = room.say("are you there?");
  mock.timers.tick(4_000);
  await assert.rejects(said, NobodyReads);
  await assert.rejects(saidLater, NobodyReads);
  for (let count = 0; count < 5_000; count += 1) await room.receive();
  assert.equal(FakeSocket.made.length, 2);
  room.leave();
});

test("who reads in time gets the answer", async () => {
  const room = chat().room("lobby");
  await latest().letsIn();
  const said = room.say("hello");
  latest().talks(1, 5_000);
  mock.timers.tick(9_000);
  for (let count = 0; count < 5_000; count += 1) await room.receive();
  const [before, after] = FakeSocket.made;
  await after.letsIn({ recovered: true, missed: 0 });
  mock.timers.tick(9_000);
  const { id } = before.sent.at(-1);
  assert.equal(after.sent.at(-1).id, id);
  after.says({ type: "accepted", id, clientMsgId: id, seq: 5_001 });
  assert.equal((await said).seq, 5_001);
  room.leave();
});

test("who only speaks is not held up by what is said", async () => {
  const joining = chat().join("lobby", { listen: false });
  await latest().letsIn();
  const room = await joining;
  latest().talks(1, 12_000);
  assert.equal(latest().readyState, FakeSocket.OPEN);
  const said = room.say("hello");
  const { id } = latest().sent.at(-1);
  latest().says({ type: "accepted", id, clientMsgId: id, seq: 12_001 });
  assert.equal((await said).seq, 12_001);
  room.leave();
});
