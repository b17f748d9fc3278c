/** The joins and the events of one room, without I/O. The test stands in for the server. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AccessRefused, Conversation, Unanswered } from "../../../chat_actors/web/client/chat-client.mjs";

const MAX_UNREAD = 5;

/** A room on a connection that is logged in. */
function begin(options) {
  const conversation = new Conversation("alice", "PEM", { random: () => 1, maxUnread: MAX_UNREAD });
  const room = conversation.open("lobby", options);
  const sent = () => conversation.toSend().map((text) => JSON.parse(text));
  const receive = (message) => conversation.receive(JSON.stringify({ roomId: "lobby", ...message }));
  const answer = ({ id }, message) => conversation.receive(JSON.stringify({ id, ...message }));
  const connect = () => {
    conversation.connected();
    for (const message of [{ type: "welcome", features: ["rooms"] }, { type: "authenticated" }]) receive(message);
    return sent().at(-1);
  };
  const enter = (fields = {}) => {
    const join = connect();
    answer(join, { type: "joined", roomId: "lobby", seq: 10, ...fields });
    return join;
  };
  const said = (...seqs) => {
    for (const seq of seqs) receive({ type: "chat_message", userId: "bob", content: `text ${seq}`, seq });
  };
  const read = async (count = room.events.length) => {
    const events = [];
    while (events.length < count) events.push(await room.events.next());
    room.caughtUp();
    return events;
  };
  const seqs = async () => (await read()).filter(({ type }) => type === "chat_message").map(({ seq }) => seq);
  return { conversation, room, sent, receive, answer, connect, enter, said, read, seqs };
}

const error = (code, more = {}) => ({ type: "error", code, message: code, ...more });
const isRefused = (code) => (thrown) => thrown instanceof AccessRefused && thrown.code === code;

test("a join with since returns later messages or a gap", async () => {
  const { enter, said, conversation, connect, read, seqs } = begin({ since: 7 });
  assert.equal(enter({ seq: 10, recovered: true, missed: 3 }).since, 7);
  assert.deepEqual(await read(), [{ type: "entered", seq: 10, missed: 3, state: undefined }]);
  said(7, 8, 9);
  assert.deepEqual(await seqs(), [8, 9]);
  conversation.disconnected();
  assert.equal(connect().since, 9);

  const forgotten = begin({ since: 70 });
  forgotten.enter({ seq: 2, recovered: false });
  assert.deepEqual((await forgotten.read()).map(({ type }) => type), ["entered", "gap"]);
  forgotten.said(3);
  assert.deepEqual(await forgotten.seqs(), [3]);
});

test("a reconnect returns each missed message once", async () => {
  const { conversation, enter, said, read, seqs } = begin();
  assert.equal(enter().since, undefined);
  said(11);
  assert.equal((await read()).length, 2);
  conversation.disconnected();
  assert.equal(enter({ seq: 13, recovered: true, missed: 2 }).since, 11);
  assert.deepEqual(await read(), [{ type: "reconnected", missed: 2 }]);
  said(11, 12, 13);
  assert.deepEqual(await seqs(), [12, 13]);
});

test("messages no longer kept are one gap, counted once", async () => {
  const { conversation, enter, read } = begin();
  enter();
  await read();
  conversation.disconnected();
  enter({ seq: 30, recovered: false, missed: 20, lost: 5 });
  assert.deepEqual(await read(), [{ type: "reconnected", missed: 20 }, { type: "gap", lost: 5 }]);
  conversation.disconnected(); // before the first message that is still kept
  assert.equal(enter({ seq: 30, recovered: true, missed: 15 }).since, 15);
});

test("the client follows a restarted numbering", async () => {
  const { conversation, enter, said, read, seqs } = begin();
  enter({ seq: 500 });
  conversation.disconnected();
  enter({ seq: 3, recovered: false, missed: 0 });
  assert.deepEqual((await read()).at(-1), { type: "gap", lost: null });
  said(4);
  assert.deepEqual(await seqs(), [4]);
});

test("a room that is lost is rejoined after a pause", async () => {
  const losses = [error("room_closed"), error("internal_failure")];
  for (const loss of losses) {
    const { conversation, receive, enter, read, sent } = begin();
    enter();
    conversation.toSchedule();
    await read();
    receive(loss);
    assert.deepEqual((await read()).map(({ type }) => type), ["reconnecting"]);
    assert.deepEqual(sent(), []);
    conversation.toSchedule().forEach(({ act }) => act());
    assert.deepEqual(sent().map(({ type, since }) => [type, since]), [["join", 10]]);
  }
});

test("a replay that fails after joined is followed by a rejoin", async () => {
  const { conversation, answer, enter, read, sent } = begin();
  const join = enter();
  await read();
  answer(join, error("internal_failure", { roomId: "lobby" }));
  assert.deepEqual((await read()).map(({ type }) => type), ["reconnecting"]);
  conversation.hurry();
  assert.deepEqual(sent().map(({ type }) => type), ["join"]);
});

test("pauses between joins start anew after a join", async () => {
  const { receive, enter, read, conversation, sent, answer } = begin();
  enter();
  await read();
  for (let count = 0; count < 3; count += 1) {
    receive(error("room_closed"));
    assert.equal((await read())[0].milliseconds, 500);
    conversation.hurry();
    answer(sent()[0], { type: "joined", seq: 10, recovered: true, missed: 0 });
    await read();
  }
});

test("a lost room repeats its requests after the rejoin", async () => {
  const { room, receive, enter, sent, answer, conversation } = begin();
  enter();
  const rolled = room.ask({ type: "roll" });
  void room.post("one");
  const [post] = sent();
  receive(error("room_closed"));
  await assert.rejects(rolled, Unanswered);
  conversation.hurry();
  answer(sent()[0], { type: "joined", seq: 10, recovered: true, missed: 0 });
  assert.deepEqual(sent(), [post]);
});

test("a room is lost once, however many errors tell it", () => {
  const { room, receive, enter, sent, answer, conversation } = begin();
  enter();
  conversation.toSchedule();
  void room.query({ type: "members" });
  void room.query({ type: "history" });
  for (const lookup of sent()) answer(lookup, error("not_joined"));
  assert.equal(conversation.toSchedule().length, 1);
  conversation.hurry();
  const [join] = sent();
  receive(error("room_closed")); // from before the join
  answer(join, { type: "joined", seq: 10, recovered: true, missed: 0 });
  assert.deepEqual(sent().map(({ type }) => type).sort(), ["history", "members"]);
});

test("a removal ends the room, which can be opened again", async () => {
  const { conversation, room, receive, enter, read, sent } = begin();
  enter();
  await read();
  const post = room.post("one");
  sent();
  receive(error("kicked"));
  await assert.rejects(room.events.next(), isRefused("kicked"));
  await assert.rejects(post, isRefused("kicked"));
  assert.deepEqual(sent(), []);
  conversation.open("lobby");
  assert.deepEqual(sent().map(({ type }) => type), ["join"]);
});

test("a refused join ends the room", async () => {
  for (const code of ["banned", "room_limit"]) {
    const { room, connect, answer, sent } = begin();
    answer(connect(), error(code));
    await assert.rejects(room.events.next(), isRefused(code));
    assert.deepEqual(sent(), []);
  }
});

test("a post in a room that is not joined any more is kept", async () => {
  for (const code of ["not_joined", "not_in_room"]) {
    const { conversation, room, enter, sent, answer } = begin();
    enter();
    const post = room.post("one");
    const [first] = sent();
    answer(first, error(code));
    conversation.hurry();
    const [join] = sent();
    answer(join, { type: "joined", seq: 10, recovered: true, missed: 0 });
    assert.deepEqual(sent(), [first]);
    answer(first, { type: "accepted", seq: 11 });
    assert.equal((await post).seq, 11);
  }
});

test("a join without an answer is repeated", async () => {
  const { conversation, connect, sent, answer, read } = begin();
  const late = connect();
  const [{ milliseconds, act }] = conversation.toSchedule();
  assert.equal(milliseconds, 60_000);
  act();
  conversation.hurry();
  const [join] = sent();
  answer(late, { type: "joined", seq: 1 });
  answer(join, { type: "joined", seq: 2 });
  assert.deepEqual((await read()).map(({ type, seq }) => [type, seq]), [["reconnecting", undefined], ["entered", 2]]);
});

test("leaving tells the server, also during the join", () => {
  const { conversation, room, connect, sent } = begin();
  connect();
  conversation.leave(room);
  assert.deepEqual(sent().map(({ type, roomId }) => [type, roomId]), [["leave", "lobby"]]);
  const offline = begin();
  offline.conversation.leave(offline.room);
  assert.deepEqual(offline.connect().type, "get_challenge");
});

test("a room that falls behind leaves, and rejoins once read", async () => {
  const { room, enter, said, read, seqs, sent, answer } = begin();
  enter();
  await read();
  said(11, 12, 13, 14, 15, 16);
  assert.deepEqual(sent().map(({ type }) => type), ["leave"]);
  said(17);
  assert.equal(room.events.length, MAX_UNREAD);
  assert.ok(!room.isInside);
  await read(4);
  assert.deepEqual(sent(), []);
  assert.deepEqual(await seqs(), [15]);
  const [join] = sent();
  assert.equal(join.since, 15);
  said(17); // from before the rejoin
  answer(join, { type: "joined", seq: 17, recovered: true, missed: 2 });
  said(16, 17);
  assert.deepEqual((await read()).map(({ type, seq }) => seq ?? type), ["reconnected", 16, 17]);
});

test("a room that is behind joins to send, and stays behind", async () => {
  const { room, enter, said, read, sent, answer } = begin();
  enter();
  await read();
  said(11, 12, 13, 14, 15);
  sent();
  const post = room.post("still here");
  const [join] = sent();
  assert.deepEqual([join.type, join.since], ["join", undefined]);
  answer(join, { type: "joined", seq: 15 });
  const [command] = sent();
  said(16);
  answer(command, { type: "accepted", seq: 17 });
  assert.equal((await post).seq, 17);
  assert.deepEqual((await read()).map(({ seq }) => seq), [11, 12, 13, 14, 15]);
  const [rejoin] = sent();
  assert.equal(rejoin.since, 15);
  answer(rejoin, { type: "joined", seq: 17, recovered: true, missed: 2 });
  said(16, 17);
  assert.deepEqual((await read()).map(({ seq }) => seq), [undefined, 16, 17]);
});

test("a room that falls behind offline has no room to leave", async () => {
  const { conversation, said, enter, connect, read, sent } = begin();
  enter();
  await read();
  said(11, 12, 13, 14);
  conversation.disconnected();
  conversation.reconnecting(5, "why");
  assert.equal(connect().type, "get_challenge");
  assert.deepEqual(sent(), []);
  await read();
  assert.deepEqual(sent().map(({ type, since }) => [type, since]), [["join", 14]]);
});

test("a room behind is not left on another connection", async () => {
  const { conversation, said, enter, connect } = begin();
  enter();
  said(11, 12, 13, 14);
  conversation.disconnected(); // before the leave was sent
  assert.equal(connect().type, "get_challenge");
});

test("a room that is lost while behind waits for its pause", async () => {
  const { room, conversation, receive, said, enter, read, sent } = begin();
  enter();
  await read();
  const post = room.post("one");
  sent();
  said(11, 12, 13, 14, 15);
  receive(error("room_closed"));
  await read();
  assert.deepEqual(sent(), []);
  conversation.toSchedule().forEach(({ act }) => act());
  assert.deepEqual(sent().map(({ type, since }) => [type, since]), [["join", 15]]);
  conversation.leave(room);
  await assert.rejects(post);
});

test("a room with requests in flight falls behind in place", async () => {
  const { room, enter, said, read, sent, answer } = begin();
  enter();
  await read();
  const post = room.post("one");
  const [command] = sent();
  said(11, 12, 13, 14, 15);
  assert.deepEqual(sent(), []);
  answer(command, { type: "accepted", seq: 16 });
  assert.equal((await post).seq, 16);
  await read();
  assert.deepEqual(sent().map(({ type, since }) => [type, since]), [["join", 15]]);
});

test("the gap after a long absence is not lost to the limit", async () => {
  const { conversation, enter, said, read } = begin();
  enter();
  await read();
  said(11, 12, 13, 14);
  conversation.disconnected();
  enter({ seq: 2, recovered: false });
  assert.deepEqual((await read()).map(({ type }) => type).slice(-2), ["reconnected", "gap"]);
});

test("a room with listen: false keeps two kinds of events", async () => {
  const { conversation, room, connect, enter, said, read } = begin({ listen: false });
  connect();
  conversation.disconnected();
  conversation.reconnecting(5, "why");
  conversation.reconnecting(6, "why");
  enter();
  said(11, 12, 13, 14, 15, 16);
  assert.ok(room.isInside);
  assert.deepEqual((await read()).map(({ type, milliseconds }) => milliseconds ?? type), [6, "entered"]);
  conversation.disconnected();
  assert.equal(connect().since, undefined);
});
