/** A room that is open in the page: what is heard in it becomes rows, people and a count of what is unread. */

import { NotSent, Refused } from "../client/chat-client.mjs";
import { Timeline } from "./timeline.mjs";

/** Messages of a page of history. */
const PAGE = 100;

/**
 * @typedef {import("../client/chat-client.mjs").Room} Room
 * @typedef {import("../client/conversation.mjs").ChatEvent} ChatEvent
 * @typedef {import("./timeline.mjs").MessageRow} MessageRow
 *
 * @typedef {{kind: "joining"} | {kind: "inside"} | {kind: "waiting", until: number, why: string} |
 *   {kind: "out", why: string}} Standing
 *
 * @typedef {object} Watcher
 * @property {(room: OpenRoom) => void} changed something about it is other than it was
 * @property {(room: OpenRoom, message: {userId: string, content: string}) => void} heard somebody else has spoken
 * @property {(room: OpenRoom, problem: string) => void} failed what one said has not been taken
 * @property {(room: OpenRoom) => boolean} isRead whether what comes now is seen by somebody
 */

export class OpenRoom {
  id;
  timeline;
  /** @type {Standing} */
  standing = { kind: "joining" };
  /** Who is here. @type {Set<string>} */
  people = new Set();
  peopleCount = 0;
  /** Another one each time that somebody has come or gone. */
  peopleVersion = 0;
  unread = 0;
  /** The number of the last message that was read. */
  readUpTo;
  /** Whether the history has been looked at: until then, the timeline is not to be shown. */
  hasHistory = false;
  #room;
  #userId;
  #watcher;
  #now;
  #isReadingOlder = false;
  #lastHeard = 0;

  /**
   * @param {Room} room
   * @param {string} userId
   * @param {number | undefined} readUpTo
   * @param {Watcher} watcher
   * @param {() => number} now milliseconds since 1970
   */
  constructor(room, userId, readUpTo, watcher, now) {
    this.id = room.id;
    this.readUpTo = readUpTo;
    this.#room = room;
    this.#userId = userId;
    this.#watcher = watcher;
    this.#now = now;
    this.timeline = new Timeline(() => this.#changed());
  }

  /** Hear until the room is left. Returns what ended it, or null. @returns {Promise<Error | null>} */
  async listen() {
    try {
      for await (const event of this.#room) this.#take(event);
      return null;
    } catch (error) {
      const why = problemOf(error);
      this.standing = { kind: "out", why };
      this.#meetNobody();
      this.timeline.notice(`You are not in this room: ${why}`, "problem");
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** One is out of it: go in again, over another line. @param {Room} room */
  comeBack(room) {
    this.#room = room;
    this.standing = { kind: "joining" };
    return this.listen();
  }

  /** The number of the last message that has come here; undefined before one is inside. */
  get lastHeard() {
    return this.hasHistory ? this.#lastHeard : undefined;
  }

  /** Try to connect now. */
  hurry() {
    this.#room.hurry();
  }

  /** How much of what was said here is still on its way. */
  get unsent() {
    return this.timeline.unsent;
  }

  /** Say something; what becomes of it is seen at its row. @param {string} content */
  async say(content) {
    await this.#send(this.timeline.send(this.#userId, content, new Date(this.#now())));
  }

  /** Say again what has failed. @param {MessageRow} row */
  async sayAgain(row) {
    this.timeline.discard(row);
    await this.say(row.content);
  }

  /** @param {MessageRow} row */
  async #send(row) {
    try {
      const { seq, timestamp } = await this.#room.say(row.content);
      this.timeline.accepted(row, seq, timestamp);
      if (this.#watcher.isRead(this)) this.readUpTo = Math.max(this.readUpTo ?? 0, seq);
    } catch (error) {
      const problem = problemOf(error);
      this.timeline.failed(row, problem);
      this.#watcher.failed(this, problem);
    }
  }

  /** All that there is has been seen. */
  markRead() {
    this.unread = 0;
    this.readUpTo = this.#lastHeard;
    this.#changed();
  }

  /** One looks at it: the line between what was read and what is new is drawn. */
  look() {
    if (this.unread > 0) this.timeline.markUnread(this.readUpTo ?? 0);
  }

  /** Read a page from before the first message. */
  async readOlder() {
    if (this.#isReadingOlder || !this.timeline.hasOlder || this.timeline.isFull) return;
    this.#isReadingOlder = true;
    try {
      const before = this.timeline.first ?? this.#lastHeard + 1;
      const page = await this.#room.history({ before, limit: PAGE });
      this.timeline.prepend(page.messages, page.more);
      if (this.timeline.isFull) this.timeline.notice("The history goes further back than this page can show.");
    } catch {
      this.timeline.hasOlder = false; // no history is kept here, or one is out
    } finally {
      this.#isReadingOlder = false;
      this.hasHistory = true;
      this.#changed();
    }
  }

  #changed() {
    this.#watcher.changed(this);
  }

  /** @param {ChatEvent} event */
  #take(event) {
    switch (event.type) {
      case "chat_message":
        this.#hear(/** @type {any} */ (event));
        break;
      case "user_joined":
      case "user_left":
        this.#meet(/** @type {any} */ (event));
        break;
      case "entered":
        if (this.hasHistory) this.#return(/** @type {any} */ (event).missed);
        else void this.#enter(/** @type {any} */ (event).seq);
        break;
      case "reconnecting":
        this.standing = {
          kind: "waiting",
          until: this.#now() + /** @type {any} */ (event).milliseconds,
          why: /** @type {any} */ (event).why,
        };
        break;
      case "reconnected":
        this.#return(/** @type {any} */ (event).missed);
        break;
      case "gap":
        this.#tellGap(/** @type {any} */ (event).lost);
        break;
      case "error":
        this.timeline.notice(/** @type {any} */ (event).message, "problem");
        break;
    }
    this.#changed();
  }

  /** @param {number} seq of the last message before */
  async #enter(seq) {
    this.standing = { kind: "inside" };
    this.#lastHeard = Math.max(this.#lastHeard, seq);
    const read = Math.min(this.readUpTo ?? seq, seq); // a server that lost its data counts anew
    this.readUpTo = read;
    void this.#readPeople();
    await this.readOlder();
    this.unread = this.timeline.rows.filter(
      (row) => row.kind === "message" && row.seq !== null && row.seq > read && row.userId !== this.#userId,
    ).length;
    if (this.#watcher.isRead(this)) {
      this.look();
      this.markRead();
    }
    this.#changed();
  }

  /** @param {import("./timeline.mjs").ChatMessage} message */
  #hear(message) {
    this.#lastHeard = message.seq;
    this.timeline.add(message);
    if (this.#watcher.isRead(this)) this.readUpTo = message.seq;
    else if (message.userId !== this.#userId) this.unread += 1;
    if (message.userId !== this.#userId) this.#watcher.heard(this, message);
  }

  /** @param {{type: string, userId: string}} event */
  #meet({ type, userId }) {
    const areAllKnown = this.people.size >= this.peopleCount; // of very many the server names only some
    const isNews = type === "user_joined" ? !this.people.has(userId) : this.people.delete(userId) || !areAllKnown;
    if (type === "user_joined") this.people.add(userId);
    if (!isNews) return;
    this.peopleVersion += 1;
    this.peopleCount += type === "user_joined" ? 1 : -1;
    this.timeline.presence(`${userId} ${type === "user_joined" ? "came" : "left"}`);
  }

  async #readPeople() {
    try {
      const { members, count } = await this.#room.members();
      this.people = new Set(members);
      this.peopleCount = count;
      this.peopleVersion += 1;
    } catch {
      this.#meetNobody(); // one is out, or may not know
    }
    this.#changed();
  }

  #meetNobody() {
    this.people = new Set();
    this.peopleCount = 0;
    this.peopleVersion += 1;
  }

  /** @param {number} missed */
  #return(missed) {
    this.standing = { kind: "inside" };
    void this.#readPeople();
    if (missed > 0) this.timeline.notice(`You were away; ${messages(missed)} came meanwhile.`);
  }

  /** @param {number | null} lost */
  #tellGap(lost) {
    if (lost === null) {
      this.timeline.renumbered();
      this.readUpTo = this.#lastHeard = 0;
    }
    this.timeline.notice(
      lost === null
        ? "Messages may be missing here: the server no longer knows what was said meanwhile."
        : `${messages(lost)} ${lost === 1 ? "is" : "are"} missing here: the server does not keep ${lost === 1 ? "it" : "them"} any more.`,
      "problem",
    );
  }
}

/** What the server said, where it said something. @param {unknown} error */
function problemOf(error) {
  if (error instanceof Refused || error instanceof NotSent) return error.text;
  return error instanceof Error ? error.message : String(error);
}

/** @param {number} count */
function messages(count) {
  return count === 1 ? "1 message" : `${count} messages`;
}
