/** Against a real server, whose address is in CHAT_URL. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createConnection, createServer } from "node:net";
import { after, before, test } from "node:test";

import { connect, Identity, NotSent, Refused } from "../../../chat_actors/web/client/chat-client.mjs";

const url = process.env.CHAT_URL ?? "";
let alice, bob, intruder;

/** Somebody with a key of the shortest kind that the server takes: a longer one takes a second to make. */
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

test("two users talk, in several rooms at a time", async () => {
  const [hers, his, garden] = await Promise.all([alice.join("lobby"), bob.join("lobby"), alice.join("garden")]);
  const { seq } = await hers.say("Hello!");
  const heard = await next(his, "chat_message");
  assert.deepEqual([heard.content, heard.userId, heard.seq], ["Hello!", "alice", seq]);
  assert.equal((await garden.say("flowers")).type, "accepted");
  assert.deepEqual((await his.members()).members.toSorted(), ["alice", "bobby"]);
  assert.deepEqual((await his.history()).messages.map(({ content }) => content), ["Hello!"]);
});

test("what is said keeps its order, and comes once", async () => {
  const room = await alice.join("orderly");
  const wanted = Array.from({ length: 200 }, (_, number) => `message ${number}`);
  await Promise.all(wanted.map((text) => room.say(text)));
  const heard = [];
  while (heard.length < wanted.length) heard.push((await next(room, "chat_message")).content);
  assert.deepEqual(heard, wanted);
});

test("a message that is too long for the server is refused, and the room goes on", async () => {
  const room = await alice.join("long");
  await assert.rejects(room.say("x".repeat(5000)), NotSent);
  await assert.rejects(room.say("x".repeat(500_000)), NotSent);
  assert.equal((await room.say("short")).type, "accepted");
});

test("another key is not let in under a name that is taken", async () => {
  await assert.rejects(intruder.logIn(), (error) => error instanceof Refused && error.code === "invalid_signature");
  await assert.rejects(intruder.join("lobby"), Refused);
});

test("who does not read is not read for, and hears all when they do", async () => {
  const [slow, other] = [await bob.join("busy"), await alice.join("busy")];
  const count = 6_000; // more than may wait to be read
  for (let first = 0; first < count; first += 500) {
    await Promise.all(Array.from({ length: 500 }, (_, index) => other.say(String(first + index))));
    while (other.isInside && (await next(other, "chat_message")).content !== String(first + 499));
  }
  for (let number = 0; number < count; number += 1) {
    assert.equal((await next(slow, "chat_message")).content, String(number));
  }
});

test("over a line that is cut again and again, nothing is lost, doubled, or out of order", async () => {
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
  // The pauses are short, so that there are many cuts in little time; everything else is as it is for users.
  const [carol, dave] = await Promise.all(
    ["carol", "david"].map(async (name) => connect(through, await userNamed(name), { random: () => 0.01 })),
  );
  try {
    const [hers, his] = await Promise.all([carol.join("storm"), dave.join("storm")]);
    const wanted = Array.from({ length: 200 }, (_, number) => `wave ${number}`);
    let cuts = 0;
    const storm = setInterval(() => {
      cuts += 1;
      for (const one of sockets) one.destroy();
      sockets.clear();
    }, 60);
    const said = Promise.all(wanted.map((text) => hers.say(text)));
    const hear = async (room) => {
      const heard = [];
      for await (const event of room) {
        assert.notEqual(event.type, "gap");
        if (event.type === "chat_message") heard.push(event.content);
        if (heard.length === 100) clearInterval(storm); // the rest in good weather: so it ends
        if (heard.length === wanted.length) return heard;
      }
    };
    const [receipts, ...both] = await Promise.all([said, hear(hers), hear(his)]);
    assert.ok(cuts >= 3, `only ${cuts} cuts`);
    assert.deepEqual(both, [wanted, wanted]);
    assert.equal(new Set(receipts.map(({ seq }) => seq)).size, wanted.length);
  } finally {
    carol.close();
    dave.close();
    proxy.close();
  }
});

test("after leaving, the reading ends", async () => {
  const room = await alice.join("short");
  alice.leave(room);
  assert.equal(await room.receive(), null);
  await assert.rejects(room.say("too late"));
});
