/** Several rooms against a model of the server, with random cuts, refusals, removals and slow readers. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { AccessRefused, Conversation, Unanswered } from "../../../chat_actors/web/client/chat-client.mjs";
import { ModelServer } from "./model_server.mjs";

const ROOMS = ["attic", "garden", "lobby"];
const MAX_UNREAD = 6;
const REFUSALS = ["room_failed", "not_stored", "too_many_messages", "too_many_rooms", "internal_failure", "busy", "room_closed"];

/** Numbers from 0 to 1 that are the same in each run (Mulberry32). */
function randomFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The client, the model of its server, and what each room has read and posted. */
class World {
  server = new ModelServer();
  wires = [];
  scheduled = [];
  posts = [];
  asks = [];
  fell = 0;

  constructor(random) {
    this.random = random;
    this.conversation = new Conversation("alice", "PEM", { random, maxUnread: MAX_UNREAD });
    this.rooms = ROOMS.map((id) => ({ core: this.conversation.open(id), read: [], said: 0, first: null }));
    this.conversation.connected();
    this.flush();
  }

  choose(values) {
    return values[Math.floor(this.random() * values.length)];
  }

  flush() {
    this.wires.push(...this.conversation.toSend());
    this.scheduled.push(...this.conversation.toSchedule());
  }

  cut() {
    this.server.cut();
    this.wires = [];
    this.scheduled = [];
    this.conversation.disconnected();
    this.conversation.reconnecting(5, "cut");
    this.conversation.connected();
    this.flush();
  }

  toServer() {
    const text = this.wires.shift();
    if (text !== undefined) this.server.take(text);
  }

  toClient() {
    const text = this.server.outgoing.shift();
    if (text === undefined) return;
    this.conversation.receive(text);
    if (this.conversation.toSign !== null) this.conversation.signed("sig");
    this.flush();
  }

  runScheduled() {
    this.scheduled.shift()?.act();
    this.flush();
  }

  post() {
    const room = this.choose(this.rooms);
    if (room.core.end !== null) return;
    room.said += 1;
    this.posts.push(room.core.post(`${room.core.id} ${room.said}`));
    this.flush();
  }

  ask() {
    const { core } = this.choose(this.rooms);
    if (core.end !== null) return;
    const key = `${core.id} ${this.asks.length}`;
    this.asks.push(core.ask({ type: "roll", key }).then(() => ({ key, outcome: "done" }), (error) => ({ key, outcome: error })));
    this.flush();
  }

  /** Read some events, as a program would. */
  async read(room, count) {
    for (let left = Math.min(count, room.core.events.length); left > 0; left -= 1) {
      const event = await room.core.events.next();
      if (event.type === "entered") room.first = event.seq;
      if (event.type === "chat_message" || event.type === "gap") room.read.push(event);
      if (room.core.caughtUp()) this.fell += 1;
      this.flush();
    }
  }

  /** One step of trouble or of progress. */
  async step() {
    const { server, random } = this;
    const id = this.choose(ROOMS);
    const dice = random();
    if (dice < 0.1) this.post();
    else if (dice < 0.13) this.ask();
    else if (dice < 0.28) server.post(id, "bob", `from bob ${random()}`);
    else if (dice < 0.5) this.toServer();
    else if (dice < 0.75) this.toClient();
    else if (dice < 0.9) await this.read(this.choose(this.rooms), Math.ceil(random() * 8));
    else if (dice < 0.95) this.runScheduled();
    else if (dice < 0.965) this.cut();
    else if (dice < 0.98) server.remove(id, "room_closed");
    else server.trim(id, 1);
  }

  /** Let everything arrive, without more trouble. */
  async settle() {
    this.server.refusal = () => null;
    const isMoving = () =>
      this.wires.length + this.server.outgoing.length + this.scheduled.length > 0 || this.rooms.some(({ core }) => core.events.length > 0);
    while (isMoving()) {
      while (this.wires.length > 0) this.toServer();
      while (this.server.outgoing.length > 0) this.toClient();
      for (const room of this.rooms) await this.read(room, Infinity);
      this.runScheduled();
    }
  }
}

/** Each message after the first join was read once and in order, or a gap counts it. */
function checkRead({ core, read, first }, server) {
  let seq = first;
  for (const event of read) {
    if (event.type === "gap") {
      seq += event.lost;
    } else {
      assert.equal(event.seq, seq + 1, core.id);
      seq = event.seq;
    }
  }
  assert.equal(seq, server.room(core.id).log.length);
}

async function run(seed) {
  const random = randomFrom(seed);
  const world = new World(random);
  const { server } = world;
  server.refusal = ({ type }) => (random() < 0.08 ? world.choose(type === "leave" ? REFUSALS.slice(0, -1) : REFUSALS) : null);
  for (let step = 0; step < 1_500; step += 1) await world.step();
  await world.settle();
  await Promise.all(world.posts);
  for (const room of world.rooms) {
    checkRead(room, server);
    const own = server.room(room.core.id).log.filter(({ userId }) => userId === "alice").map(({ content }) => content);
    assert.deepEqual(own, Array.from({ length: room.said }, (_, index) => `${room.core.id} ${index + 1}`));
    assert.equal(room.core.requests.size, 0);
    assert.ok(room.core.isInside);
    assert.ok(server.isMember(room.core.id));
  }
  for (const { key, outcome } of await Promise.all(world.asks)) {
    const count = server.executed.get(key) ?? 0;
    if (outcome === "done") assert.equal(count, 1);
    else if (outcome instanceof Unanswered) assert.ok(count <= 1);
    else assert.equal(count, 0);
  }
  return world.fell;
}

test("rooms lose, repeat and reorder nothing in any trouble", async () => {
  let fell = 0;
  for (let seed = 1; seed <= 60; seed += 1) {
    try {
      fell += await run(seed);
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
  assert.ok(fell > 60, `rooms fell behind only ${fell} times`);
});

test("the unread events of a room are bounded", async () => {
  const world = new World(randomFrom(1));
  await world.settle();
  for (let count = 0; count < 100; count += 1) world.server.post("lobby", "bob", "x");
  while (world.server.outgoing.length > 0) world.toClient();
  const lobby = world.rooms.find(({ core }) => core.id === "lobby");
  assert.equal(lobby.core.events.length, MAX_UNREAD);
  world.server.post("garden", "bob", "to the other room");
  while (world.server.outgoing.length > 0) world.toClient();
  assert.equal(world.rooms.find(({ core }) => core.id === "garden").core.events.length, 1);
});

test("a ban ends one room, wherever it meets the client", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const world = new World(randomFrom(seed));
    for (let step = 0; step < 300; step += 1) {
      if (step === 100 + seed) {
        world.server.banned.add("attic");
        world.server.remove("attic", "banned");
      }
      await world.step();
    }
    const posts = Promise.allSettled(world.posts);
    await world.settle();
    await posts;
    const [attic, ...others] = world.rooms;
    await assert.rejects(attic.core.events.next(), (error) => error instanceof AccessRefused && error.code === "banned");
    assert.ok(!world.server.isMember("attic"));
    for (const room of others) checkRead(room, world.server);
  }
});
