/** The open rooms of the page, over a chat that the test controls. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AccessRefused, ConnectionLost } from "../../../chat_actors/web/client/chat-client.mjs";
import { Rooms } from "../../../chat_actors/web/app/rooms.mjs";

const turn = () => new Promise((resolve) => setImmediate(resolve));

Object.defineProperty(globalThis, "localStorage", { value: { setItem: () => {} } });

/** A chat whose rooms yield nothing, until the test ends them. */
class FakeChat {
  opened = [];
  left = [];

  room(id, options) {
    const room = { id, options };
    const ended = new Promise((_, reject) => (room.fail = reject));
    room[Symbol.asyncIterator] = () => ({ next: () => ended });
    this.opened.push(room);
    return room;
  }

  leave(room) {
    this.left.push(room);
  }
}

function begin(...ids) {
  const chat = new FakeChat();
  const watcher = { changed: () => {}, received: () => {}, failed: () => {}, isRead: () => false };
  const rooms = new Rooms(chat, "alice", { rooms: [], current: null, read: new Map() }, watcher);
  for (const id of ids) rooms.add(id);
  return { chat, rooms, first: chat.opened.splice(0) };
}

test("an end of the connection is undone for all rooms", async () => {
  const { chat, rooms, first } = begin("attic", "garden", "lobby");
  first[0].fail(new AccessRefused("join", "banned", "banned"));
  for (const room of first.slice(1)) room.fail(new ConnectionLost("gone"));
  await turn();
  rooms.open("garden");
  assert.deepEqual(chat.opened.map(({ id }) => id), ["garden", "lobby"]);
  assert.deepEqual(rooms.all.map(({ status }) => status.kind), ["ended", "joining", "joining"]);
});

test("a refused login is undone for all rooms", async () => {
  const { chat, rooms, first } = begin("garden", "lobby");
  for (const room of first) room.fail(new AccessRefused("log in", "no", "invalid_signature"));
  await turn();
  rooms.open("lobby");
  assert.equal(chat.opened.length, 2);
});

test("a removal is undone for its room only", async () => {
  const { chat, rooms, first } = begin("garden", "lobby");
  first[0].fail(new AccessRefused("join", "kicked", "kicked"));
  await turn();
  rooms.open("lobby");
  assert.deepEqual(chat.opened, []);
  rooms.open("garden");
  assert.deepEqual(chat.opened.map(({ id }) => id), ["garden"]);
  rooms.close(rooms.all[0]);
  assert.deepEqual(chat.left, chat.opened);
});
