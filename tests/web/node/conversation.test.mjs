import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Backoff,
  Conversation,
  CommandRefused,
  AccessRefused,
  TooMuchUnsent,
  Unanswered,
} from "../../../chat_actors/web/client/chat-client.mjs";

/** A conversation, and functions that stand in for the server. */
function begin({ room = "lobby", since = null } = {}) {
  let ids = 0;
  const conversation = new Conversation("alice", "PEM", room, () => `id-${(ids += 1)}`, since);
  const sent = () => conversation.toSend().map((text) => JSON.parse(text));
  const receive = (message) => conversation.receive(JSON.stringify(message));
  const logIn = () => {
    conversation.connected();
    sent();
    receive({ type: "challenge", challenge: "AAAA" });
    conversation.signed("sig");
    receive({ type: "authenticated", userId: "alice" });
    return sent().at(-1);
  };
  const enter = (fields = {}) => {
    const join = logIn();
    return { join, events: receive({ type: "joined", roomId: room, id: join.id, seq: 10, ...fields }) };
  };
  const said = (seq, content = `text ${seq}`) => receive({ type: "chat_message", userId: "bob", roomId: room, content, seq });
  return { conversation, sent, receive, logIn, enter, said };
}

test("an unknown user is registered once, then logged in", () => {
  const { conversation, sent, receive } = begin();
  conversation.connected();
  assert.deepEqual(sent(), [{ type: "get_challenge" }]);
  receive({ type: "challenge", challenge: "AAAA" });
  assert.equal(conversation.toSign, "AAAA");
  conversation.signed("sig");
  assert.deepEqual(sent(), [{ type: "authenticate", userId: "alice", signature: "sig" }]);
  receive({ type: "error", code: "user_not_registered", message: "User not registered" });
  assert.deepEqual(sent(), [{ type: "register", userId: "alice", publicKey: "PEM" }]);
  receive({ type: "registered", userId: "alice" });
  assert.deepEqual(sent(), [{ type: "get_challenge" }]);
});

test("a login with another key is refused", () => {
  const { conversation, receive } = begin();
  conversation.connected();
  const refused = { type: "error", code: "invalid_signature", message: "Invalid signature" };
  assert.throws(() => receive(refused), (error) => error instanceof AccessRefused && error.code === "invalid_signature");
});

test("a join with since returns later messages or a gap", () => {
  const { enter, said, conversation, logIn } = begin({ since: 7 });
  const { join, events } = enter({ seq: 10, recovered: true, missed: 3 });
  assert.equal(join.since, 7);
  assert.deepEqual(events, [{ type: "entered", seq: 10, missed: 3, state: undefined }]);
  assert.deepEqual([7, 8, 9].flatMap((seq) => said(seq)).map(({ seq }) => seq), [8, 9]);
  conversation.disconnected();
  assert.equal(logIn().since, 9);

  const forgotten = begin({ since: 70 });
  const { events: anew } = forgotten.enter({ seq: 2, recovered: false });
  assert.deepEqual(anew.map(({ type }) => type), ["entered", "gap"]);
  assert.deepEqual(forgotten.said(3).map(({ seq }) => seq), [3]);
});

test("a reconnect returns each missed message once", () => {
  const { conversation, enter, said } = begin();
  assert.deepEqual(enter().events, [{ type: "entered", seq: 10, missed: 0, state: undefined }]);
  assert.equal(said(11).length, 1);
  conversation.disconnected();
  const { join, events } = enter({ seq: 13, recovered: true, missed: 2 });
  assert.equal(join.since, 11);
  assert.deepEqual(events, [{ type: "reconnected", missed: 2 }]);
  assert.equal(said(11).length, 0);
  assert.deepEqual([12, 13].map((seq) => said(seq).length), [1, 1]);
});

test("messages that the server no longer keeps are a gap", () => {
  const { conversation, enter } = begin();
  enter();
  conversation.disconnected();
  assert.deepEqual(enter({ seq: 30, recovered: false, missed: 20, lost: 5 }).events, [
    { type: "reconnected", missed: 20 },
    { type: "gap", lost: 5 },
  ]);
});

test("the client follows a restarted numbering", () => {
  const { conversation, enter, said } = begin();
  enter({ seq: 500 });
  conversation.disconnected();
  assert.deepEqual(enter({ seq: 3, recovered: false, missed: 0 }).events.at(-1), { type: "gap", lost: null });
  assert.equal(said(4).length, 1);
});

test("posts are sent one by one, again after a reconnect", async () => {
  const { conversation, sent, receive, enter } = begin();
  enter();
  const first = conversation.post("one");
  const second = conversation.post("two");
  const [post, ...others] = sent();
  assert.equal(post.content, "one");
  assert.deepEqual(others, []);
  conversation.disconnected();
  enter({ recovered: true, missed: 0 });
  assert.deepEqual(sent(), [post]);
  receive({ type: "accepted", id: post.id, clientMsgId: post.clientMsgId, seq: 11 });
  assert.equal((await first).seq, 11);
  const [next] = sent();
  assert.equal(next.content, "two");
  receive({ type: "error", id: next.id, code: "content_too_long", message: "too long" });
  await assert.rejects(second, CommandRefused);
  assert.equal(conversation.unanswered, 0);
});

test("a request with a transient error is sent again", async () => {
  const { conversation, sent, receive, enter } = begin();
  enter();
  const answer = conversation.post("one");
  const [post] = sent();
  receive({ type: "error", code: "too_many_messages", message: "slower" });
  assert.equal(conversation.needsRetry, true);
  assert.deepEqual(sent(), []);
  conversation.retry();
  assert.deepEqual(sent(), [post]);
  receive({ type: "accepted", id: post.id, seq: 11 });
  assert.equal((await answer).seq, 11);
});

test("a command sent once fails with its connection", async () => {
  const { conversation, sent, enter } = begin();
  enter();
  const rolled = conversation.ask({ type: "roll" });
  sent();
  conversation.disconnected();
  await assert.rejects(rolled, Unanswered);
  enter({ recovered: true });
  assert.deepEqual(sent(), []);
});

test("lookups overtake posts and are sent again", () => {
  const { conversation, sent, enter } = begin();
  enter();
  void conversation.post("one");
  void conversation.query({ type: "members" });
  void conversation.query({ type: "history" });
  assert.deepEqual(sent().map(({ type }) => type), ["chat_message", "members", "history"]);
  conversation.disconnected();
  enter({ recovered: true });
  assert.deepEqual(sent().map(({ type }) => type), ["chat_message", "members", "history"]);
});

test("few lookups are in flight and block nothing else", () => {
  const { conversation, sent, receive, enter } = begin();
  enter();
  for (let count = 0; count < 20; count += 1) void conversation.query({ type: "history" });
  void conversation.post("one");
  void conversation.ask({ type: "roll" });
  const first = sent();
  assert.deepEqual(first.slice(-2).map(({ type }) => type), ["chat_message", "roll"]);
  assert.equal(first.length, 16 + 2);
  receive({ type: "history", id: first[0].id, messages: [], more: false });
  assert.deepEqual(sent().map(({ type }) => type), ["history"]);
});

test("a command without an answer is never queued", () => {
  const { conversation, sent, enter } = begin();
  assert.equal(conversation.tell({ type: "typing" }), false);
  enter();
  assert.deepEqual(sent(), []);
  assert.equal(conversation.tell({ type: "typing" }), true);
  assert.deepEqual(sent(), [{ type: "typing" }]);
  assert.equal(conversation.unanswered, 0);
});

test("a lost room is rejoined, a removal ends the room", () => {
  const { conversation, receive, enter } = begin();
  enter();
  receive({ type: "error", code: "room_closed", message: "the room has failed", roomId: "lobby" });
  assert.equal(conversation.isBroken, true);
  enter({ recovered: true });
  assert.throws(() => receive({ type: "error", code: "banned", message: "banned", roomId: "lobby" }), AccessRefused);
});

test("a replay that fails after joined is followed by a rejoin", () => {
  const { conversation, receive, enter } = begin();
  const { join } = enter();
  receive({ type: "error", code: "internal_failure", message: "the server failed", roomId: "lobby", id: join.id });
  assert.equal(conversation.isBroken, true);
});

test("messages of extensions are returned unchanged", () => {
  const { receive, enter } = begin();
  enter();
  assert.deepEqual(receive({ type: "typing", userId: "bob" }), [{ type: "typing", userId: "bob" }]);
});

test("waiting requests are bounded", () => {
  const { conversation } = begin();
  for (let count = 0; count < 1000; count += 1) void conversation.post("x");
  assert.throws(() => conversation.post("x"), TooMuchUnsent);
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

test("a refusal without id repeats repeatable requests", async () => {
  const { conversation, enter, receive, sent } = begin();
  enter();
  const rolled = conversation.ask({ type: "roll" });
  const page = conversation.query({ type: "history" });
  const [, { id }] = sent();
  receive({ type: "error", code: "too_many_messages", message: "slower" });
  await assert.rejects(rolled, Unanswered);
  assert.ok(conversation.needsRetry);
  conversation.retry();
  assert.deepEqual(sent().map((one) => [one.type, one.id]), [["history", id]]);
  receive({ type: "history", id, messages: [], more: false });
  assert.equal((await page).more, false);
  assert.equal(conversation.unanswered, 0);
});

test("a text that is not a message is ignored", () => {
  const { conversation, enter } = begin();
  for (const text of ["5", "null", "[]", "true", '"x"', "{}", '{"type":5}', "no JSON", ""]) {
    assert.deepEqual(conversation.receive(text), []);
  }
  enter();
  for (const text of ["5", "null", "[]", "{", '{"type":null}']) assert.deepEqual(conversation.receive(text), []);
  assert.ok(conversation.isInside);
});

test("a request given up gets no answer any more", async () => {
  const { conversation, enter, receive, sent } = begin();
  enter();
  const said = conversation.post("one");
  const { id } = sent()[0];
  conversation.failAll(new TypeError("enough"));
  await assert.rejects(said, TypeError);
  assert.deepEqual(receive({ type: "accepted", id, clientMsgId: id, seq: 11 }), []);
  assert.equal(conversation.unanswered, 0);
});
