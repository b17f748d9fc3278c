/** Against a real server at the address in CHAT_URL. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createConnection, createServer } from "node:net";
import { after, before, test } from "node:test";

import { connect, Identity, CommandRefused, AccessRefused } from "../../../chat_actors/web/client/chat-client.mjs";

const url = process.env.CHAT_URL ?? "";
let alice, bob, intruder;

/** A user with the shortest key that the server accepts: a longer one takes a second to make. */
function userNamed(name) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return Identity.fromKey(name, new Uint8Array(privateKey.export({ type: "pkcs8", format: "der" })));
}

before(async () => {
  alice = connect(url, await userNamed("alice"));
  bob = connect(url, await userNamed("bobby"));
  intruder = connect(url, await userNamed("alice"));
});

after(() => {
  for (const chat of [alice, bob, intruder]) chat.close();
});

/** The next event of a type. */
async function next(room, type) {
  for await (const event of room) if (event.type === type) return event;
}

test("two users talk in several rooms at a time", async () => {
  const [hers, his, garden] = await Promise.all([alice.join("lobby"), bob.join("lobby"), alice.join("garden")]);
  const { seq } = await hers.say("Hello!");
  const received = await next(his, "chat_message");
  assert.deepEqual([received.content, received.userId, received.seq], ["Hello!", "alice", seq]);
  assert.equal((await garden.say("flowers")).type, "accepted");
  assert.deepEqual((await his.members()).members.toSorted(), ["alice", "bobby"]);
  assert.deepEqual((await his.history()).messages.map(({ content }) => content), ["Hello!"]);
});

test("posts keep their order and are delivered once", async () => {
  const room = await alice.join("orderly");
  const wanted = Array.from({ length: 200 }, (_, number) => `message ${number}`);
  await Promise.all(wanted.map((text) => room.say(text)));
  const received = [];
  while (received.length < wanted.length) received.push((await next(room, "chat_message")).content);
  assert.deepEqual(received, wanted);
});

test("only the message that is too long is refused", async () => {
  const room = await alice.join("long");
  await assert.rejects(room.say("x".repeat(5000)), CommandRefused);
  await assert.rejects(room.say("x".repeat(500_000)), CommandRefused);
  assert.equal((await room.say("short")).type, "accepted");
});

test("another key cannot log in under a taken name", async () => {
  await assert.rejects(intruder.logIn(), (error) => error instanceof AccessRefused && error.code === "invalid_signature");
  await assert.rejects(intruder.join("lobby"), AccessRefused);
});

test("a slow reader falls behind and then gets every message", async () => {
  const [slow, other, elsewhere] = await Promise.all([bob.join("busy"), alice.join("busy"), bob.join("quiet")]);
  const count = 6_000; // more than the limit of unread events
  for (let first = 0; first < count; first += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => other.say(String(first + index))));
    while (other.isInside && (await next(other, "chat_message")).content !== String(first + 499));
  }
  assert.ok(!slow.isInside);
  assert.equal((await elsewhere.say("not held up")).type, "accepted");
  assert.equal((await slow.say(String(count))).type, "accepted");
  for (let number = 0; number <= count; number += 1) {
    assert.equal((await next(slow, "chat_message")).content, String(number));
  }
});

test("repeated cuts lose, repeat and reorder no message", async () => {
  const sockets = new Set();
  const proxy = createServer((client) => {
    const server = createConnection(Number(new URL(url).port), "localhost");
    const ends = [client, server];
    for (const end of ends) {
      sockets.add(end);
      end.on("error", () => {});
      end.on("close", () => ends.forEach((one) => one.destroy()));
    }
    client.pipe(server).pipe(client);
  }).listen(0);
  const through = `http://localhost:${proxy.address().port}`;
  // Short pauses allow many cuts in a short time. Everything else is as in use.
  const [carol, dave] = await Promise.all(
    ["carol", "david"].map(async (name) => connect(through, await userNamed(name), { random: () => 0.01 })),
  );
  try {
    const [hers, his] = await Promise.all([carol.join("storm"), dave.join("storm")]);
    const [calm, quiet] = await Promise.all([carol.join("calm"), dave.join("calm")]);
    const wanted = Array.from({ length: 200 }, (_, number) => `wave ${number}`);
    let cuts = 0;
    const storm = setInterval(() => {
      cuts += 1;
      for (const one of sockets) one.destroy();
      sockets.clear();
    }, 60);
    const said = Promise.all(wanted.flatMap((text) => [hers.say(text), quiet.say(text)]));
    const receive = async (room) => {
      const received = [];
      for await (const event of room) {
        assert.notEqual(event.type, "gap");
        if (event.type === "chat_message") received.push(event.content);
        if (received.length === 100) clearInterval(storm); // the rest without cuts, so that the test ends
        if (received.length === wanted.length) return received;
      }
    };
    const [receipts, ...all] = await Promise.all([said, ...[hers, his, calm, quiet].map(receive)]);
    assert.ok(cuts >= 3, `only ${cuts} cuts`);
    assert.deepEqual(all, [wanted, wanted, wanted, wanted]);
    assert.equal(new Set(receipts.map(({ seq }) => seq)).size, wanted.length); // both rooms have the same numbers
  } finally {
    carol.close();
    dave.close();
    proxy.close();
  }
});

test("iteration ends after leave", async () => {
  const room = await alice.join("short");
  alice.leave(room);
  assert.equal(await room.receive(), null);
  await assert.rejects(room.say("too late"));
});
