import assert from "node:assert/strict";
import { test } from "node:test";

import { Timeline } from "../../../chat_actors/web/app/timeline.mjs";

const timestamp = "2026-01-01T10:00:00.000Z";
const message = (seq, userId = "bob") => ({ seq, userId, content: `text ${seq}`, timestamp });
const make = () => new Timeline(() => {});
const texts = ({ rows }) => rows.map((row) => (row.kind === "message" ? row.content : row.text));

test("a message has one row, accepted or received first", () => {
  const timeline = make();
  const mine = timeline.send("alice", "text 1", new Date());
  timeline.add(message(1, "alice"));
  timeline.accepted(mine, 1, timestamp);
  assert.deepEqual(texts(timeline), ["text 1"]);
  const next = timeline.send("alice", "text 2", new Date());
  timeline.accepted(next, 2, timestamp);
  timeline.add(message(2, "alice"));
  assert.deepEqual(texts(timeline), ["text 1", "text 2"]);
});

test("a pending message is last until it has a number", () => {
  const timeline = make();
  const mine = timeline.send("alice", "mine", new Date());
  timeline.add(message(1));
  timeline.add(message(3));
  assert.deepEqual(texts(timeline), ["text 1", "text 3", "mine"]);
  timeline.accepted(mine, 2, timestamp);
  assert.deepEqual(texts(timeline), ["text 1", "mine", "text 3"]);
});

test("a page of history is prepended without duplicates", () => {
  const timeline = make();
  timeline.add(message(3));
  timeline.prepend([message(1), message(2), message(3)], false);
  assert.deepEqual(texts(timeline), ["text 1", "text 2", "text 3"]);
  assert.equal(timeline.first, 1);
  assert.equal(timeline.hasOlder, false);
});

test("the oldest of many rows are dropped, and reloaded", () => {
  const timeline = make();
  timeline.hasOlder = false;
  for (let seq = 1; seq <= 20_001; seq += 1) timeline.add(message(seq));
  assert.equal(timeline.rows.length, 20_000);
  assert.equal(timeline.first, 2);
  assert.equal(timeline.hasOlder, true);
});

test("joins and leaves share one row until a message", () => {
  const timeline = make();
  timeline.presence("bob came");
  timeline.presence("carol came");
  timeline.add(message(1));
  timeline.presence("bob left");
  assert.deepEqual(texts(timeline), ["bob came · carol came", "text 1", "bob left"]);
});

test("the unread line appears once, after a read message", () => {
  const timeline = make();
  for (const seq of [1, 2, 3]) timeline.add(message(seq));
  timeline.markUnread(1);
  timeline.markUnread(2);
  assert.deepEqual(texts(timeline), ["text 1", "text 2", "New messages", "text 3"]);
  timeline.markUnread(0);
  assert.deepEqual(texts(timeline), ["text 1", "text 2", "text 3"]);
});

test("a renumbering makes no message a duplicate", () => {
  const timeline = make();
  for (const seq of [1, 2, 3]) timeline.add(message(seq));
  const mine = timeline.send("alice", "mine", new Date());
  timeline.renumbered();
  timeline.add({ ...message(1), content: "anew" });
  timeline.accepted(mine, 2, timestamp);
  timeline.add({ ...message(2, "alice"), content: "mine" });
  assert.deepEqual(texts(timeline), ["text 1", "text 2", "text 3", "anew", "mine"]);
  assert.equal(timeline.first, 1);
  assert.equal(timeline.hasOlder, false);
});

test("unsent counts messages being sent, not failed ones", () => {
  const timeline = make();
  timeline.add(message(1));
  const [one, other] = ["one", "other"].map((text) => timeline.send("alice", text, new Date()));
  assert.equal(timeline.unsent, 2);
  timeline.failed(one, "too long");
  timeline.accepted(other, 2, timestamp);
  assert.equal(timeline.unsent, 0);
});
