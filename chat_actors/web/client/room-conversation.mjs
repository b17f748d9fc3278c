/**
 * One user in one room, over any number of connections: what to send on each, and which received messages are new.
 *
 * Theory of operation. The core does no I/O. `Conversation` owns it, takes the commands to send with `next`, and passes it
 * the answers to its commands and the events of its room. On each connection the steps are "out" → "joining" → "inside";
 * after a join that failed for now, "waiting" → "out"; after one at the limit of rooms, while the connection leaves others,
 * "full" → "out". Three things outlive a connection: the number of the last message
 * received (`#position`), the requests without an answer (`Requests`), and the unread events. A rejoin sends the position
 * as `since`, and messages up to it are dropped, so each message is delivered once, in order, or a `gap` is.
 *
 * Falling behind. At `maxUnread` events the room drops further ones and leaves on the server. It keeps its
 * position, and rejoins with it when the events have been read. If it has something to send before that, it joins without
 * `since`, and still drops the events.
 */

import { Backoff } from "./backoff.mjs";
import { AccessRefused, CommandRefused, ConnectionLost, isRoomLost, isTemporary, isTransient } from "./errors.mjs";
import { EventQueue } from "./event-queue.mjs";
import { Membership } from "./membership.mjs";
import { Requests } from "./requests.mjs";

/** Milliseconds for the answer to a join. Then the room joins again. The server itself gives up after 40 s. */
const JOIN_TIMEOUT = 60_000;

const UNAVAILABLE = "the room is not available now";

/**
 * @typedef {import("./event-queue.mjs").ChatEvent} ChatEvent
 * @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage
 * @typedef {import("./requests.mjs").Command} Command
 *
 * What a room needs of its `Conversation`; see there. `later` calls after a pause, if the connection still exists;
 * the function that it returns cancels that. `isLeaving`: whether the server has not confirmed all leaves of this connection.
 *
 * @typedef {{userId: string, newId: () => string, random: () => number, maxUnread: number,
 *   later: (milliseconds: number, act: () => void) => () => void, isLeaving: () => boolean}} Surroundings
 */

/** Each post is stored once and each message is delivered once, or the caller gets an error or a `gap`. */
export class RoomConversation {
  id;
  /** The unread events. After reading one, call `caughtUp`. */
  events = new EventQueue();
  /** The requests without an answer. */
  requests;
  /** The id of each command of this room that has no answer. */
  tellId;
  /** Why the room has ended, or null. @type {Error | null} */
  end = null;
  #surroundings;
  #listens;
  #backoff;
  /** @type {"out" | "joining" | "inside" | "waiting" | "full"} */
  #step = "out";
  #membership = new Membership();
  #isBehind = false;
  /** Whether the connection was leaving rooms when the join in flight was sent. */
  #wasLeaving = false;
  /** Cancels the timer of the join in flight or of the next one. */
  #cancelTimer = () => {};
  #hasJoined = false;
  /** @type {number | null} the number of the last message received */
  #position;

  /**
   * @param {string} id
   * @param {Surroundings} surroundings
   * @param {{since?: number, listen?: boolean}} [options] as for `Chat.room`
   */
  constructor(id, surroundings, { since, listen = true } = {}) {
    this.id = id;
    this.tellId = surroundings.newId();
    this.requests = new Requests(surroundings.random);
    this.#surroundings = surroundings;
    this.#listens = listen;
    this.#position = since ?? null;
    this.#backoff = new Backoff(surroundings.random);
  }

  /** Whether the connection is in the room. */
  get isJoined() {
    return this.#step === "inside";
  }

  /** Whether the user is in the room and receives its messages. */
  get isInside() {
    return this.isJoined && !this.#isBehind;
  }

  /** Whether the server has not confirmed a `leave` of this room. */
  get isLeaving() {
    return this.#membership.isLeaving;
  }

  // -- requests ------------------------------------------------------------------------------------------------------

  /**
   * Post a message. It is stored once, over any number of connections.
   *
   * @param {string} content
   * @returns {Promise<ServerMessage>} `accepted`; rejects with `CommandRefused`, or with the error that ended the room
   * @throws {TooMuchUnsent} if too many requests wait already
   */
  post(content) {
    const id = this.#surroundings.newId();
    return this.requests.add("post", { type: "chat_message", roomId: this.id, content, clientMsgId: id, id });
  }

  /** Send a request that changes nothing and may therefore be repeated: `history`, `members`. @param {Command} command */
  query(command) {
    return this.requests.add("lookup", { roomId: this.id, ...command, id: this.#surroundings.newId() });
  }

  /**
   * Send any command, such as an extension's. It is sent once and rejects with `Unanswered` if its answer cannot come.
   *
   * @param {Command} command
   */
  ask(command) {
    return this.requests.add("once", { roomId: this.id, ...command, id: this.#surroundings.newId() });
  }

  // -- what to send --------------------------------------------------------------------------------------------------

  /** Take the commands to send now, on a connection that is logged in. @param {number} lookups the most lookups among them */
  next(lookups) {
    /** @type {Command[]} */
    const commands = [];
    if (this.#membership.mustLeave) commands.push(this.#leave());
    if (this.#step === "full" && !this.#surroundings.isLeaving()) this.#step = "out";
    if (this.#step === "out" && (!this.#isBehind || this.requests.size > 0)) commands.push(this.#join());
    if (this.isJoined) commands.push(...this.requests.next(lookups));
    return commands;
  }

  /** @returns {Command} */
  #join() {
    const id = this.#surroundings.newId();
    this.#membership.join(id);
    this.#step = "joining";
    this.#wasLeaving = this.#surroundings.isLeaving();
    this.#schedule(JOIN_TIMEOUT, () => this.#step === "joining" && this.#joinLater("no answer from the room"));
    const isReplayed = this.#position !== null && this.#listens && !this.#isBehind;
    const since = isReplayed ? { since: this.#position } : {};
    return { type: "join", userId: this.#surroundings.userId, roomId: this.id, additional: true, id, ...since };
  }

  #leave() {
    const id = this.#surroundings.newId();
    this.#membership.leave(id);
    return { type: "leave", roomId: this.id, id };
  }

  // -- the connection ------------------------------------------------------------------------------------------------

  /** The connection has ended. Requests that are safe to repeat are sent again later; the others fail with `Unanswered`. */
  disconnected() {
    this.#step = "out";
    this.#membership.disconnected();
    this.requests.requeueAll("the connection broke");
  }

  /** The connection is lost. @param {number} milliseconds the pause before the next attempt @param {string} why */
  reconnecting(milliseconds, why) {
    this.#push({ type: "reconnecting", milliseconds, why });
  }

  /** Join now if the room waits for its next attempt. */
  hurry() {
    if (this.#step !== "waiting") return;
    this.#step = "out";
    this.#cancelTimer();
  }

  /** End the room. @param {Error | null} error null: the program has left it */
  close(error) {
    if (this.end !== null) return;
    this.end = error ?? new ConnectionLost("the room was left");
    this.#cancelTimer();
    this.requests.failAll(this.end);
    this.events.end(error);
  }

  /** The command to send after the end. */
  farewell() {
    return this.#membership.isPossible ? this.#leave() : null;
  }

  // -- received messages ---------------------------------------------------------------------------------------------

  /** Whether a message with this id answers this room. @param {string} id */
  isAwaiting(id) {
    const { joinId, leaveId } = this.#membership;
    return id === joinId || id === leaveId || id === this.tellId || this.requests.has(id);
  }

  /** Handle the answer to a command of this room. @param {ServerMessage & {id: string}} message */
  answer(message) {
    if (message.id === this.#membership.joinId) this.#answerJoin(message);
    else if (message.id === this.#membership.leaveId) this.#answerLeave(message);
    else if (message.id === this.tellId) this.#push(message);
    else if (message.type === "error") this.#refuse(message);
    else this.requests.answered(message.id, message);
  }

  /** Send a command again, refused at the rate limit. @param {string} id @returns {boolean} whether that is possible */
  repeat(id) {
    const { joinId, leaveId } = this.#membership;
    if (id === joinId) this.#awaitJoin("out");
    else if (id === leaveId) this.#leaveAgain();
    else if (this.requests.isRetryable(id)) this.requests.requeue(id);
    else return false;
    return true;
  }

  /** Handle an event of this room. @param {ServerMessage} message */
  receive(message) {
    if (message.type === "error") {
      this.#remove(message);
      return;
    }
    if (!this.isInside) return; // from before a join that replays it
    if (message.type === "chat_message") {
      if (this.#position !== null && message.seq <= this.#position) return;
      this.#position = message.seq;
    }
    this.#push(message);
  }

  /** @param {ServerMessage} message */
  #answerJoin(message) {
    if (message.type === "error") {
      this.#refuseJoin(message);
      return;
    }
    this.#cancelTimer();
    this.#step = "inside";
    this.#backoff.succeeded();
    this.#arrive(message);
  }

  /** @param {ServerMessage} error */
  #refuseJoin({ code, message, roomId }) {
    if (code === "room_limit" && (this.#wasLeaving || this.#surroundings.isLeaving())) {
      this.#awaitJoin("full");
    } else if (!isTemporary(code)) {
      this.#membership.removed(false);
      this.close(new AccessRefused("join", message, code));
    } else if (roomId !== undefined || this.isJoined) {
      this.#lose();
    } else {
      this.#membership.joinRefused();
      this.#joinLater(UNAVAILABLE);
    }
  }

  /** The join was refused, but not for good. @param {"out" | "full"} step */
  #awaitJoin(step) {
    this.#cancelTimer();
    this.#membership.joinRefused();
    this.#step = step;
  }

  /** @param {ServerMessage} message */
  #answerLeave({ type, code }) {
    const isRefused = type === "error" && isTransient(code);
    this.#membership.leaveAnswered(!isRefused);
    if (isRefused) this.#surroundings.later(this.#backoff.nextPause(), () => this.#leaveAgain());
  }

  #leaveAgain() {
    this.#membership.mustLeave = this.#isBehind && this.#step === "out";
  }

  /** @param {ServerMessage} joined */
  #arrive({ seq, missed = 0, state, recovered, lost }) {
    /** @type {ChatEvent} */
    const arrival = this.#hasJoined ? { type: "reconnected", missed } : { type: "entered", seq, missed, state };
    this.#hasJoined = true;
    // Without a count the server has restarted its numbering, so the next message may have a lower number.
    if (this.#position === null || (recovered === false && lost === undefined)) this.#position = seq;
    else if (recovered === false) this.#position += lost; // else a second rejoin could count them again
    if (recovered === false) this.#push(arrival, { type: "gap", lost: lost ?? null });
    else this.#push(arrival);
  }

  /** The connection is out of the room. @param {ServerMessage} error */
  #remove(error) {
    this.#membership.removed(this.#step === "joining");
    if (!isTemporary(error.code)) this.close(new AccessRefused("join", error.message, error.code));
    else if (this.isJoined) this.#lose();
    else this.requests.requeueAll(UNAVAILABLE);
  }

  /** @param {ServerMessage & {id: string}} error */
  #refuse({ id, code, message }) {
    if (!this.requests.isRetryable(id) || !isTemporary(code)) this.requests.refused(id, new CommandRefused(message, code));
    else if (isRoomLost(code)) this.requests.requeue(id);
    else this.#surroundings.later(this.requests.hold(id), () => this.requests.requeue(id));
    if (isRoomLost(code) && this.isJoined) this.#lose();
  }

  /** The room has failed, or the server does not have this connection in it. */
  #lose() {
    this.#membership.removed(false);
    this.requests.requeueAll(UNAVAILABLE);
    this.#joinLater(UNAVAILABLE);
  }

  /** @param {string} why */
  #joinLater(why) {
    const pause = this.#backoff.nextPause();
    this.#step = "waiting";
    this.#schedule(pause, () => this.hurry());
    this.reconnecting(pause, why);
  }

  /** @param {number} milliseconds @param {() => void} act */
  #schedule(milliseconds, act) {
    this.#cancelTimer();
    this.#cancelTimer = this.#surroundings.later(milliseconds, act);
  }

  // -- unread events -------------------------------------------------------------------------------------------------

  /** @param {...ChatEvent} events */
  #push(...events) {
    if (this.#isBehind) return;
    for (const event of events) if (this.#isKept(event)) this.events.push(event);
    if (this.events.length >= this.#surroundings.maxUnread) this.#fallBehind();
  }

  /** @param {ChatEvent} event */
  #isKept({ type }) {
    return this.#listens || type === "entered" || (type === "reconnecting" && !this.#hasJoined);
  }

  #fallBehind() {
    this.#isBehind = true;
    if (this.requests.size > 0 || !this.isJoined) return;
    this.#membership.mustLeave = true;
    this.#step = "out";
  }

  /** Rejoin if the room has fallen behind and all events have been read. @returns {boolean} whether it has */
  caughtUp() {
    if (!this.#isBehind || this.events.length > 0 || this.end !== null) return false;
    this.#isBehind = false;
    if (this.#step !== "waiting") this.#step = "out";
    return true;
  }
}
