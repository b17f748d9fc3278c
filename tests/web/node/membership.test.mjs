/** Joins and leaves that the server refuses for now, and rooms that end meanwhile, without I/O. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { CommandRefused, Conversation } from "../../../chat_actors/web/client/chat-client.mjs";

const MAX_UNREAD = 5;

/** A conversation that is in these rooms. */
function begin(...ids) {
  const conversation = new Conversation("alice", "PEM", { random: () => 1, maxUnread: MAX_UNREAD });
  const rooms = ids.map((id) => conversation.open(id));
  const sent = () => conversation.toSend().map((text) => JSON.parse(text));
  const receive = (message) => conversation.receive(JSON.stringify(message));
  const connect = () => {
    conversation.connected();
    for (const message of [{ type: "welcome", features: ["rooms"] }, { type: "authenticated" }]) receive(message);
    return sent().filter(({ type }) => type === "join");
  };
  const joined = ({ id, roomId, since }) =>
    receive({ type: "joined", roomId, id, seq: 10, ...(since === undefined ? {} : { recovered: true, missed: 0 }) });
  const refuse = ({ id }, code, more = {}) => receive({ type: "error", id, code, message: code, ...more });
  const retry = () => conversation.toSchedule().forEach(({ act }) => act());
  connect().forEach(joined);
  conversation.toSchedule();
  return { conversation, rooms, sent, receive, connect, joined, refuse, retry };
}

/** A room that has fallen behind with a post in flight, has been read since, and rejoins. */
async function rejoining() {
  const all = begin("lobby");
  const [room] = all.rooms;
  const posts = [room.post("one"), room.post("two")];
  const [post] = all.sent();
  for (let seq = 11; seq < 11 + MAX_UNREAD; seq += 1) all.receive({ type: "chat_message", roomId: "lobby", userId: "bob", seq });
  while (room.events.length > 0) await room.events.next();
  room.caughtUp();
  const [join] = all.sent();
  return { ...all, room, posts, post, join };
}

const types = (commands) => commands.map(({ type, roomId }) => `${type} ${roomId}`);

test("a room that ends during a rejoin repeats its post", async () => {
  const { sent, receive, joined, posts, post, join } = await rejoining();
  receive({ type: "error", code: "room_closed", message: "closed", roomId: "lobby" });
  joined(join);
  assert.deepEqual(sent(), [post]);
  receive({ type: "accepted", id: post.id, seq: 16 });
  assert.equal((await posts[0]).seq, 16);
});

test("a rejoin that ends in a removal repeats the post", async () => {
  const { sent, refuse, joined, retry, post, join } = await rejoining();
  refuse(join, "room_closed", { roomId: "lobby" });
  retry();
  const [again] = sent();
  joined(again);
  assert.deepEqual(sent(), [post]);
});

test("a rejoin refused for now ends no membership", async () => {
  const { conversation, room, rooms, posts, sent, refuse, join } = await rejoining();
  refuse(join, "too_many_rooms");
  assert.equal(room.requests.inFlight.length, 1);
  conversation.leave(rooms[0]);
  assert.deepEqual(types(sent()), ["leave lobby"]);
  await Promise.allSettled(posts);
});

test("a first join refused for now needs no leave", () => {
  for (const code of ["too_many_rooms", "too_many_messages", "busy"]) {
    const { conversation, sent, refuse, retry } = begin("lobby");
    const garden = conversation.open("garden");
    refuse(sent()[0], code);
    conversation.leave(garden);
    retry();
    assert.deepEqual(sent(), []);
  }
});

test("a busy server ends no room, post or lookup", async () => {
  const { conversation, rooms, sent, receive, connect, joined, refuse, retry } = begin("lobby");
  const [room] = rooms;
  conversation.disconnected();
  const [join] = connect();
  refuse(join, "busy");
  assert.equal(room.end, null);
  retry();
  joined(sent()[0]);
  const answers = [room.post("one"), room.query({ type: "members" })];
  for (const command of sent()) refuse(command, "busy");
  retry();
  for (const { id } of sent()) receive({ type: "answer", id });
  assert.equal((await Promise.all(answers)).length, 2);
  const rolled = room.ask({ type: "roll" });
  refuse(sent()[0], "busy");
  await assert.rejects(rolled, CommandRefused);
});

for (const code of ["too_many_messages", "busy"]) {
  test(`a leave refused with ${code} is repeated until confirmed`, () => {
    for (const confirmation of [{ type: "left" }, { type: "error", code: "not_joined" }]) {
      const { conversation, rooms, sent, receive, refuse, retry } = begin("lobby");
      conversation.leave(rooms[0]);
      for (let count = 0; count < 3; count += 1) {
        const [leave] = sent();
        assert.equal(leave.type, "leave");
        refuse(leave, code);
        assert.deepEqual(sent(), []);
        retry();
      }
      const [leave] = sent();
      receive({ ...confirmation, id: leave.id, roomId: "lobby" });
      retry();
      assert.deepEqual(sent(), []);
    }
  });

  test(`a room behind leaves again after ${code}`, () => {
    const { sent, receive, refuse, retry } = begin("lobby");
    for (let seq = 11; seq < 11 + MAX_UNREAD; seq += 1) receive({ type: "chat_message", roomId: "lobby", userId: "bob", seq });
    refuse(sent()[0], code);
    assert.deepEqual(sent(), []);
    retry();
    assert.deepEqual(types(sent()), ["leave lobby"]);
  });
}

test("a leave that is refused does not end a room opened again", () => {
  const { conversation, rooms, sent, joined, refuse, retry } = begin("lobby");
  conversation.leave(rooms[0]);
  const [leave] = sent();
  refuse(leave, "too_many_messages");
  const again = conversation.open("lobby");
  retry();
  const commands = sent();
  assert.deepEqual(types(commands), ["join lobby"]);
  conversation.leave(again); // before its join is answered
  assert.deepEqual(types(sent()), ["leave lobby"]);
  joined(commands[0]);
});

test("a room opened and closed unjoined leaves the old one", () => {
  const { conversation, rooms, sent, refuse, retry } = begin("lobby");
  conversation.leave(rooms[0]);
  refuse(sent()[0], "too_many_messages");
  conversation.leave(conversation.open("lobby"));
  retry();
  assert.deepEqual(types(sent()), ["leave lobby"]);
});

test("no leave is repeated on another connection", () => {
  const { conversation, rooms, sent, connect } = begin("lobby");
  conversation.leave(rooms[0]);
  sent();
  conversation.disconnected();
  assert.deepEqual(connect(), []);
  assert.deepEqual(sent(), []);
});

for (const answersFirst of [true, false]) {
  test(`a room at the limit waits for leaves, ${answersFirst ? "answered" : "refused"} before`, async () => {
    const { conversation, rooms, sent, receive, joined, refuse, retry } = begin("lobby");
    conversation.leave(rooms[0]);
    const garden = conversation.open("garden");
    let [leave, join] = sent();
    if (answersFirst) {
      receive({ type: "left", id: leave.id, roomId: "lobby" });
      refuse(join, "room_limit");
    } else {
      refuse(leave, "busy");
      refuse(join, "room_limit");
      assert.deepEqual(sent(), []);
      retry();
      [leave] = sent();
      receive({ type: "left", id: leave.id, roomId: "lobby" });
    }
    [join] = sent();
    joined(join);
    assert.ok(garden.isInside);
  });
}

test("a room at the limit is refused once no leave is pending", async () => {
  const { conversation, rooms, sent, receive, refuse } = begin("lobby");
  conversation.leave(rooms[0]);
  const garden = conversation.open("garden");
  const [leave, join] = sent();
  refuse(join, "room_limit");
  receive({ type: "left", id: leave.id, roomId: "lobby" });
  refuse(sent()[0], "room_limit");
  await assert.rejects(garden.events.next(), (thrown) => thrown.code === "room_limit");
  assert.deepEqual(sent(), []);
});

test("the timer of a join ends with the join", () => {
  const { conversation, sent, joined, refuse } = begin("lobby");
  const garden = conversation.open("garden");
  refuse(sent()[0], "room_failed");
  const [pause] = conversation.toSchedule();
  let cancelled = 0;
  pause.cancelled = () => (cancelled += 1);
  garden.hurry();
  assert.equal(cancelled, 1);
  joined(sent()[0]);
  assert.deepEqual(conversation.toSchedule(), []);
});
