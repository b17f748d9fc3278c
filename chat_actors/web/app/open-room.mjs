/** A room that is open in the page: turns the client's events into rows, members and a count of unread messages. */

import { AccessRefused, CommandRefused, ConnectionLost } from "../client/chat-client.mjs";
import { Timeline } from "./timeline.mjs";

/** Messages in a page of history. */
const PAGE = 100;

/**
 * @typedef {import("../client/chat-client.mjs").Room} Room
 * @typedef {import("./timeline.mjs").MessageRow} MessageRow
 *
 * @typedef {{kind: "joining"} | {kind: "joined"} | {kind: "reconnecting", until: number, why: string} |
 *   {kind: "ended", why: string, isOffline: boolean}} RoomStatus
 *
 * `isOffline`: the connection has ended for good, and all rooms with it.
 *
 * @typedef {object} Watcher
 * @property {(room: OpenRoom) => void} changed the room must be drawn again
 * @property {(room: OpenRoom, message: {userId: string, content: string}) => void} received another user posted a message
 * @property {(room: OpenRoom, problem: string) => void} failed a message of this user was not sent
 * @property {(room: OpenRoom) => boolean} isRead whether a message that arrives now is visible to the user
 */

export class OpenRoom {
  id;
  timeline;
  /** @type {RoomStatus} */
  status = { kind: "joining" };
  /** The users in the room, as far as the server lists them. @type {Set<string>} */
  members = new Set();
  memberCount = 0;
  /** Grows with each change of `members`. */
  memberListVersion = 0;
  unread = 0;
  /** The number of the last message that the user has read. */
  readUpTo;
  /** Whether the first page of history was requested. Before that, the timeline is not shown. */
  hasHistory = false;
  #room;
  #userId;
  #watcher;
  #now;
  /** Whether the first page of history was loaded, or cannot be. */
  #hasFirstPage = false;
  #isReadingOlder = false;
  #lastSeq = 0;

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

  /** Handle events until the room ends. Returns the error that ended it, or null after leaving. @returns {Promise<Error | null>} */
  async listen() {
    try {
      for await (const event of this.#room) this.#take(event);
      return null;
    } catch (error) {
      const why = problemOf(error);
      this.status = { kind: "ended", why, isOffline: isAboutConnection(error) };
      this.#clearMembers();
      this.timeline.notice(`You are not ${this.status.isOffline ? "connected" : "in this room"}: ${why}`, "problem");
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Rejoin after the room has ended. @param {Room} room */
  rejoin(room) {
    this.#room = room;
    this.status = { kind: "joining" };
    return this.listen();
  }

  /** The number of the last message received; undefined before the first join. */
  get lastSeq() {
    return this.hasHistory ? this.#lastSeq : undefined;
  }

  /** Reconnect now. */
  hurry() {
    this.#room.hurry();
  }

  /** The number of this user's messages that are not yet stored. */
  get unsent() {
    return this.timeline.unsent;
  }

  /** Post a message; its row shows the outcome. @param {string} content */
  async post(content) {
    await this.#send(this.timeline.send(this.#userId, content, new Date(this.#now())));
  }

  /** Post a failed message again. @param {MessageRow} row */
  async postAgain(row) {
    this.timeline.discard(row);
    await this.post(row.content);
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

  /** Mark all messages as read. */
  markRead() {
    this.unread = 0;
    this.readUpTo = this.#lastSeq;
    this.#changed();
  }

  /** Draw the line between read and unread messages. */
  markUnread() {
    if (this.unread > 0) this.timeline.markUnread(this.readUpTo ?? 0);
  }

  /** Load the page of history before the first message. */
  async readOlder() {
    if (this.#isReadingOlder || !this.timeline.hasOlder || this.timeline.isFull) return;
    this.#isReadingOlder = true;
    try {
      const before = this.timeline.first ?? this.#lastSeq + 1;
      const page = await this.#room.history({ before, limit: PAGE });
      this.timeline.prepend(page.messages, page.more);
      this.#hasFirstPage = true;
      if (this.timeline.isFull) this.timeline.notice("The history goes further back than this page can show.");
    } catch (error) {
      if (!(error instanceof CommandRefused)) return; // the room has ended: the page is loaded once it is joined again
      this.timeline.hasOlder = false; // the server keeps no history
      this.#hasFirstPage = true;
    } finally {
      this.#isReadingOlder = false;
      this.hasHistory = true;
      this.#changed();
    }
  }

  #changed() {
    this.#watcher.changed(this);
  }

  /** @param {any} event a `ChatEvent` */
  #take(event) {
    switch (event.type) {
      case "chat_message":
        this.#receive(event);
        break;
      case "user_joined":
      case "user_left":
        this.#updateMembers(event);
        break;
      case "entered":
        if (this.#hasFirstPage) this.#rejoined(event.missed);
        else void this.#joined(event.seq);
        break;
      case "reconnecting":
        this.status = { kind: "reconnecting", until: this.#now() + event.milliseconds, why: event.why };
        break;
      case "reconnected":
        this.#rejoined(event.missed);
        break;
      case "gap":
        this.#showGap(event.lost);
        break;
    }
    this.#changed();
  }

  /** @param {number} seq the number of the last message so far */
  async #joined(seq) {
    this.status = { kind: "joined" };
    this.#lastSeq = Math.max(this.#lastSeq, seq);
    const read = Math.min(this.readUpTo ?? seq, seq); // a server that lost its data restarts its numbering
    this.readUpTo = read;
    void this.#readMembers();
    await this.readOlder();
    this.unread = this.timeline.rows.filter(
      (row) => row.kind === "message" && row.seq !== null && row.seq > read && row.userId !== this.#userId,
    ).length;
    if (this.#watcher.isRead(this)) {
      this.markUnread();
      this.markRead();
    }
    this.#changed();
  }

  /** @param {import("./timeline.mjs").ChatMessage} message */
  #receive(message) {
    this.#lastSeq = message.seq;
    this.timeline.add(message);
    if (this.#watcher.isRead(this)) this.readUpTo = message.seq;
    else if (message.userId !== this.#userId) this.unread += 1;
    if (message.userId !== this.#userId) this.#watcher.received(this, message);
  }

  /** @param {{type: string, userId: string}} event */
  #updateMembers({ type, userId }) {
    const areAllKnown = this.members.size >= this.memberCount; // in a large room the server lists only some
    const isChange = type === "user_joined" ? !this.members.has(userId) : this.members.delete(userId) || !areAllKnown;
    if (type === "user_joined") this.members.add(userId);
    if (!isChange) return;
    this.memberListVersion += 1;
    this.memberCount += type === "user_joined" ? 1 : -1;
    this.timeline.presence(`${userId} ${type === "user_joined" ? "came" : "left"}`);
  }

  async #readMembers() {
    try {
      const { members, count } = await this.#room.members();
      this.members = new Set(members);
      this.memberCount = count;
      this.memberListVersion += 1;
    } catch {
      this.#clearMembers(); // not in the room, or not allowed to list its members
    }
    this.#changed();
  }

  #clearMembers() {
    this.members = new Set();
    this.memberCount = 0;
    this.memberListVersion += 1;
  }

  /** @param {number} missed */
  #rejoined(missed) {
    this.status = { kind: "joined" };
    void this.#readMembers();
    if (missed > 0) this.timeline.notice(`You were offline; ${messages(missed)} arrived in the meantime.`);
  }

  /** @param {number | null} lost */
  #showGap(lost) {
    if (lost === null) {
      this.timeline.renumbered();
      this.readUpTo = this.#lastSeq = 0;
    }
    this.timeline.notice(
      lost === null
        ? "Messages may be missing here: the server no longer has the messages of that time."
        : `${messages(lost)} ${lost === 1 ? "is" : "are"} missing here: the server no longer has ${lost === 1 ? "it" : "them"}.`,
      "problem",
    );
  }
}

/** The server's own text if there is one, else the error's. @param {unknown} error */
function problemOf(error) {
  if (error instanceof AccessRefused || error instanceof CommandRefused) return error.text;
  return error instanceof Error ? error.message : String(error);
}

/** Whether this error ended the connection, not only a room. @param {unknown} error */
function isAboutConnection(error) {
  return error instanceof ConnectionLost || (error instanceof AccessRefused && error.doing !== "join");
}

/** @param {number} count */
function messages(count) {
  return count === 1 ? "1 message" : `${count} messages`;
}
