/** The login, the routing and the requests of a connection, without I/O. The test stands in for the server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  AccessRefused,
  Backoff,
  CommandRefused,
  Conversation,
  ServerTooOld,
  TooMuchUnsent,
  Unanswered,
} from "../../../chat_actors/web/client/chat-client.mjs";

function begin() {
  let ids = 0;
  const conversation = new Conversation("alice", "PEM", { newId: () => `id-${(ids += 1)}`, random: () => 1 });
  const sent = () => conversation.toSend().map((text) => JSON.parse(text));
  const receive = (message) => conversation.receive(JSON.stringify(message));
  const logIn = (limits = {}) => {
    conversation.connected();
    sent();
    receive({ type: "welcome", features: ["rooms"], limits });
    receive({ type: "challenge", challenge: "AAAA" });
    conversation.signed("sig");
    sent();
    receive({ type: "authenticated", userId: "alice" });
  };
  const enter = (id = "lobby", options = {}) => {
    const room = conversation.open(id, options);
    const [join] = sent();
    receive({ type: "joined", roomId: id, id: join.id, seq: 10 });
    void room.events.next();
    return room;
  };
  const retry = () => conversation.toSchedule().forEach(({ act }) => act());
  return { conversation, sent, receive, logIn, enter, retry };
}

/** A conversation that is in the lobby. */
function inside() {
  const all = begin();
  all.logIn();
  const room = all.enter();
  all.conversation.toSchedule();
  return { ...all, room };
}

const error = (code, more = {}) => ({ type: "error", code, message: code, ...more });

test("an unknown user is registered once, then logged in", () => {
  const { conversation, sent, receive } = begin();
  conversation.connected();
  assert.deepEqual(sent().map(({ type }) => type), ["hello", "get_challenge"]);
  receive({ type: "welcome", features: ["rooms"] });
  receive({ type: "challenge", challenge: "AAAA" });
  assert.equal(conversation.toSign, "AAAA");
  conversation.signed("sig");
  assert.deepEqual(sent(), [{ type: "authenticate", userId: "alice", signature: "sig" }]);
  receive(error("user_not_registered"));
  assert.deepEqual(sent(), [{ type: "register", userId: "alice", publicKey: "PEM" }]);
  receive({ type: "registered", userId: "alice" });
  assert.deepEqual(sent(), [{ type: "get_challenge" }]);
});

test("a login with another key is refused", () => {
  const { conversation, receive } = begin();
  conversation.connected();
  assert.throws(() => receive(error("invalid_signature")), (thrown) => thrown instanceof AccessRefused && thrown.code === "invalid_signature");
});

test("a server without several rooms is too old", () => {
  const answers = [
    { type: "welcome", features: ["edits"] },
    { type: "welcome" },
    error("unknown_type"),
    { type: "error", message: "Unknown message type: hello" },
    { type: "authenticated" },
  ];
  for (const answer of answers) {
    const { conversation, receive } = begin();
    conversation.connected();
    assert.throws(() => receive(answer), (thrown) => thrown instanceof ServerTooOld && /too old/.test(thrown.message));
  }
});

test("a login refused for the moment breaks the connection", () => {
  const { conversation, receive } = begin();
  conversation.connected();
  receive(error("too_many_messages"));
  assert.ok(conversation.isBroken);
  conversation.disconnected();
  assert.ok(!conversation.isBroken);
});

test("rooms join together and name themselves", () => {
  const { conversation, sent, logIn } = begin();
  const rooms = ["lobby", "garden"].map((id) => conversation.open(id));
  void rooms[0].post("early");
  assert.deepEqual(sent(), []);
  logIn();
  const joins = sent();
  assert.deepEqual(joins.map(({ type, roomId, additional }) => [type, roomId, additional]), [
    ["join", "lobby", true],
    ["join", "garden", true],
  ]);
  assert.throws(() => conversation.open("lobby"), /open already/);
});

test("each event and answer reaches its room", async () => {
  const { receive, room, enter, sent, conversation } = inside();
  const garden = enter("garden");
  receive({ type: "chat_message", roomId: "garden", seq: 11 });
  receive({ type: "typing", roomId: "lobby", userId: "bob" });
  assert.deepEqual([room.events.length, garden.events.length], [1, 1]);
  const answer = garden.query({ type: "members" });
  const [{ roomId, id }] = sent();
  assert.equal(roomId, "garden");
  receive({ type: "members", roomId, id, members: [], count: 0 });
  assert.equal((await answer).count, 0);
  receive({ type: "direct_message", content: "psst" });
  receive({ type: "invited", roomId: "cellar" });
  receive({ type: "chat_message", roomId: "cellar", seq: 1 }); // late, from a room that was left
  receive({ type: "left", roomId: "cellar", id: "late" });
  assert.equal(conversation.events.length, 2);
});

test("unread messages of no room are bounded and counted", async () => {
  const { receive, conversation } = inside();
  for (let count = 0; count < 1_005; count += 1) receive({ type: "direct_message", count });
  assert.equal(conversation.events.length, 1_001);
  assert.deepEqual(conversation.events.last, { type: "gap", lost: 5 });
  await conversation.events.next();
  receive({ type: "direct_message" });
  assert.deepEqual(conversation.events.last, { type: "gap", lost: 6 });
});

test("posts of a room are sent one by one, again after a cut", async () => {
  const { conversation, sent, receive, room, enter, logIn } = inside();
  const garden = enter("garden");
  const [first, second] = [room.post("one"), room.post("two")];
  void garden.post("three");
  const [post, ...others] = sent();
  assert.deepEqual([post.content, others.map(({ content }) => content)], ["one", ["three"]]);
  conversation.disconnected();
  logIn();
  const [join] = sent();
  receive({ type: "joined", roomId: "lobby", id: join.id, seq: 10, recovered: true, missed: 0 });
  assert.deepEqual(sent(), [post]);
  receive({ type: "accepted", id: post.id, clientMsgId: post.clientMsgId, seq: 11 });
  assert.equal((await first).seq, 11);
  const [next] = sent();
  assert.equal(next.content, "two");
  receive(error("content_too_long", { id: next.id }));
  await assert.rejects(second, CommandRefused);
  assert.equal(room.requests.size, 0);
});

test("a failed post holds up only its own room", async () => {
  const { conversation, sent, receive, room, enter, retry } = inside();
  const garden = enter("garden");
  conversation.toSchedule();
  const answer = room.post("one");
  void room.post("two");
  const [post] = sent();
  receive(error("room_failed", { id: post.id }));
  void garden.post("three");
  void room.query({ type: "members" });
  assert.deepEqual(sent().map(({ type, roomId }) => [type, roomId]), [["members", "lobby"], ["chat_message", "garden"]]);
  retry();
  assert.deepEqual(sent(), [post]);
  receive({ type: "accepted", id: post.id, seq: 11 });
  assert.equal((await answer).seq, 11);
});

test("the rate limit holds up all rooms", async () => {
  const { sent, receive, room, enter, retry, conversation } = inside();
  const garden = enter("garden");
  conversation.toSchedule();
  const page = room.query({ type: "history" });
  const [lookup] = sent();
  receive(error("too_many_messages", { id: lookup.id }));
  void garden.post("one");
  assert.deepEqual(sent(), []);
  retry();
  assert.deepEqual(sent().map(({ type }) => type).sort(), ["chat_message", "history"]);
  receive({ type: "history", id: lookup.id, messages: [], more: false });
  assert.equal((await page).more, false);
});

test("a late answer to a repeated post frees the next", async () => {
  const { sent, receive, room, retry } = inside();
  const [first, second] = [room.post("one"), room.post("two")];
  const [{ id }] = sent();
  receive(error("too_many_messages", { id }));
  receive({ type: "accepted", id, seq: 11 });
  assert.equal((await first).seq, 11);
  retry();
  const [next] = sent();
  assert.equal(next.content, "two");
  receive({ type: "accepted", id: next.id, seq: 12 });
  assert.equal((await second).seq, 12);
});

test("pauses at the rate limit start anew after an answer", () => {
  const { sent, receive, room, conversation } = inside();
  for (let count = 0; count < 3; count += 1) {
    void room.query({ type: "members" });
    const [{ id }] = sent();
    receive(error("too_many_messages", { id }));
    const [{ milliseconds, act }] = conversation.toSchedule();
    assert.equal(milliseconds, 500);
    act();
    sent();
    receive({ type: "members", id, members: [], count: 0 });
  }
});

test("lookups keep their order when they are sent again", () => {
  const { conversation, sent, receive, room, logIn } = inside();
  const types = ["members", "history", "guests"];
  for (const type of types) void room.query({ type });
  sent();
  conversation.disconnected();
  logIn();
  receive({ type: "joined", id: sent()[0].id, seq: 10, recovered: true, missed: 0 });
  assert.deepEqual(sent().map(({ type }) => type), types);
});

test("the rate limit delays a join and reports no failure", () => {
  const { sent, receive, conversation, retry } = inside();
  const garden = conversation.open("garden");
  receive(error("too_many_messages", { id: sent()[0].id }));
  assert.equal(garden.events.length, 0);
  assert.deepEqual(sent(), []);
  retry();
  assert.deepEqual(sent().map(({ type, roomId }) => [type, roomId]), [["join", "garden"]]);
});

test("a command sent once fails with its connection", async () => {
  const { conversation, sent, room, logIn } = inside();
  const rolled = room.ask({ type: "roll" });
  assert.deepEqual(sent().map(({ type, roomId }) => [type, roomId]), [["roll", "lobby"]]);
  conversation.disconnected();
  await assert.rejects(rolled, Unanswered);
  logIn();
  assert.deepEqual(sent().map(({ type }) => type), ["join"]);
});

test("a command sent once is refused at the rate limit", async () => {
  const { receive, sent, room } = inside();
  const rolled = room.ask({ type: "roll" });
  receive(error("too_many_messages", { id: sent()[0].id }));
  await assert.rejects(rolled, CommandRefused);
});

test("an extension command may name another room", () => {
  const { sent, room } = inside();
  void room.ask({ type: "create_room", roomId: "attic" });
  assert.equal(sent()[0].roomId, "attic");
});

test("few lookups are in flight, and no room takes them all", () => {
  const { sent, receive, room, enter } = inside();
  const garden = enter("garden");
  const attic = enter("attic");
  for (let count = 0; count < 20; count += 1) void room.query({ type: "history" });
  assert.equal(sent().length, 8);
  for (let count = 0; count < 20; count += 1) void garden.query({ type: "history" });
  const first = sent();
  assert.equal(first.length, 8);
  void attic.query({ type: "members" });
  void attic.post("one");
  assert.deepEqual(sent().map(({ type }) => type), ["chat_message"]);
  receive({ type: "history", id: first[0].id, messages: [], more: false });
  assert.deepEqual(sent().map(({ type }) => type), ["members"]);
});

test("a command without an answer is never queued", () => {
  const { conversation, sent, receive } = inside();
  const garden = conversation.open("garden");
  assert.equal(conversation.tell(garden, { type: "typing" }), false);
  const [join] = sent();
  receive({ type: "joined", roomId: "garden", id: join.id, seq: 0 });
  assert.equal(conversation.tell(garden, { type: "typing" }), true);
  assert.deepEqual(sent(), [{ type: "typing", roomId: "garden", id: garden.tellId }]);
  assert.equal(garden.requests.size, 0);
});

test("a refused command without an answer is an event", async () => {
  const { conversation, sent, receive, room, enter } = inside();
  const garden = enter("garden");
  const rolled = garden.ask({ type: "roll" });
  const [{ id }] = sent();
  conversation.tell(room, { type: "typing" });
  const refusal = error("too_many_messages", { id: sent()[0].id });
  receive(refusal);
  receive({ type: "rolled", id });
  assert.equal((await rolled).type, "rolled");
  assert.deepEqual(await room.events.next(), refusal);
  assert.ok(room.isInside);
});

test("a command without an answer is not sent if too long", () => {
  const { conversation, logIn, enter } = begin();
  logIn({ frameBytes: 200 });
  const room = enter();
  const isTooBig = (thrown) => thrown instanceof CommandRefused && thrown.code === "too_big";
  assert.throws(() => conversation.tell(room, { type: "draw", data: "é".repeat(100) }), isTooBig);
  assert.equal(conversation.toSend().length, 0);
});

test("waiting requests are bounded", () => {
  const room = begin().conversation.open("lobby");
  for (let count = 0; count < 1000; count += 1) void room.post("x");
  assert.throws(() => room.post("x"), TooMuchUnsent);
});

test("a message over the server's limit is not sent", async () => {
  const { logIn, enter, sent } = begin();
  logIn({ frameBytes: 200 });
  const room = enter();
  const long = room.post("é".repeat(100));
  void room.post("short");
  assert.deepEqual(sent().map(({ content }) => content), ["short"]);
  await assert.rejects(long, (thrown) => thrown instanceof CommandRefused && thrown.code === "too_big");
});

test("the longest message in flight is the one too big", async () => {
  const { conversation, room, enter, sent } = inside();
  const garden = enter("garden");
  void room.post("short");
  const long = garden.post("x".repeat(100));
  sent();
  assert.ok(conversation.failTooBig());
  await assert.rejects(long, CommandRefused);
  assert.equal(room.requests.size, 1);
});

test("invalid JSON ends the oldest request in flight", async () => {
  const { room, enter, sent, receive } = inside();
  const garden = enter("garden");
  const oldest = garden.post("one");
  sent();
  void room.post("two");
  sent();
  receive(error("invalid_json"));
  await assert.rejects(oldest, CommandRefused);
  assert.equal(room.requests.size, 1);
});

test("a lone surrogate is sent as a replacement character", () => {
  const { room, sent } = inside();
  void room.post("a\ud800b \ud83d\ude00");
  assert.equal(sent()[0].content, "a\ufffdb \ud83d\ude00");
});

test("a text that is not a message is ignored", () => {
  const { conversation, logIn, enter } = begin();
  for (const text of ["5", "null", "[]", "true", '"x"', "{}", '{"type":5}', "no JSON", ""]) conversation.receive(text);
  logIn();
  const room = enter();
  for (const text of ["5", "null", "[]", "{", '{"type":null}']) conversation.receive(text);
  assert.ok(room.isInside);
  assert.equal(conversation.events.length, 0);
});

test("the end of a chat ends its rooms and requests", async () => {
  const { conversation, room } = inside();
  const post = room.post("one");
  conversation.end(new TypeError("enough"));
  await assert.rejects(post, TypeError);
  await assert.rejects(async () => {
    while ((await room.events.next()) !== null);
  }, TypeError);
  await assert.rejects(conversation.events.next(), TypeError);
});

test("pauses grow, reset, and follow the server", () => {
  const backoff = new Backoff(() => 1, { first: 100, longest: 1000 });
  assert.deepEqual([1, 2, 3, 4, 5].map(() => backoff.nextPause()), [100, 200, 400, 800, 1000]);
  backoff.succeeded();
  assert.equal(backoff.pauseAfter(1012, "retry after 321"), 321);
  assert.equal(backoff.pauseAfter(1012, "retry after 321"), 200);
  backoff.succeeded();
  assert.equal(backoff.pauseAfter(4008, "too slow"), 0);
  assert.equal(backoff.pauseAfter(4003, ""), null);
});
