/**
 * One user at one server over any number of connections: the login, the rooms, and which message is for which room.
 *
 * Theory of operation. The core does no I/O. Its owner reports `connected()` and `disconnected()`, passes each text to
 * `receive()`, and signs `toSign`. After each of these, and after each call of a method of a room, it sends the texts of
 * `toSend()` and calls the actions of `toSchedule()` after their pauses. On each connection the steps are "offline" →
 * "login" (`Login`) → "ready". The rooms (`RoomConversation`) outlive the connections; each has the steps of its own join.
 * Answers are routed by `id`, events by `roomId`.
 */

import { Backoff } from "./backoff.mjs";
import { Departures } from "./departures.mjs";
import { decode, encode, isLongerThan } from "./encoding.mjs";
import { CommandRefused, RATE_LIMIT, tooBig } from "./errors.mjs";
import { BoundedEventQueue } from "./event-queue.mjs";
import { Login } from "./login.mjs";
import { RoomConversation } from "./room-conversation.mjs";

/**
 * The maximum number of lookups in flight. At the rate limit all of them may be refused and sent again: with more of
 * them, the repeats alone could exceed the limit each time.
 */
const MAX_LOOKUPS_IN_FLIGHT = 16;

/** The maximum number of them of one room: one that does not answer leaves some to the others. */
const MAX_LOOKUPS_OF_ROOM = 8;

/** The most unread events that belong to no room. */
const MAX_EVENTS = 1_000;

/** Events that the server sends only about rooms that the connection is in. */
const ROOM_EVENTS = new Set(["chat_message", "user_joined", "user_left", "error"]);

/**
 * @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage
 * @typedef {import("./requests.mjs").Command} Command
 * @typedef {import("./requests.mjs").PendingRequest} PendingRequest
 *
 * An action to call after a pause. The core calls `cancelled` if that is no longer needed.
 *
 * @typedef {{milliseconds: number, act: () => void, cancelled: () => void}} Scheduled
 */

export class Conversation {
  /** The unread events that belong to no room. */
  events = new BoundedEventQueue(MAX_EVENTS);
  #userId;
  #publicPem;
  /** @type {import("./room-conversation.mjs").Surroundings} */
  #surroundings;
  /** Null while there is no connection. @type {Login | null} */
  #login = null;
  /** Whether requests wait because the server refused one at its rate limit. */
  #isPaused = false;
  #backoff;
  /** @type {Map<string, RoomConversation>} */
  #rooms = new Map();
  #departures = new Departures((id) => this.#rooms.has(id));
  /** @type {string[]} */
  #outgoing = [];
  /** @type {Scheduled[]} */
  #scheduled = [];

  /**
   * @param {string} userId
   * @param {string} publicPem
   * @param {object} [options]
   * @param {() => string} [options.newId] makes ids of at most 64 characters that no client of this user has used before
   * @param {() => number} [options.random] returns numbers from 0 to 1, for the pauses
   * @param {number} [options.maxUnread] the most unread events of a room
   */
  constructor(userId, publicPem, { newId = () => crypto.randomUUID(), random = Math.random, maxUnread = 5_000 } = {}) {
    this.#userId = userId;
    this.#publicPem = publicPem;
    const isLeaving = () => this.#departures.isPending || [...this.#rooms.values()].some((room) => room.isLeaving);
    this.#surroundings = { userId, newId, random, later: this.#later.bind(this), maxUnread, isLeaving };
    this.#backoff = new Backoff(random);
  }

  /** Whether the connection is logged in. */
  get isReady() {
    return this.#login?.isDone ?? false;
  }

  /** Whether the connection is logged in, and in one of its rooms if it has any. */
  get isUseful() {
    return this.isReady && (this.#rooms.size === 0 || [...this.#rooms.values()].some((room) => room.isInside));
  }

  // -- the rooms -----------------------------------------------------------------------------------------------------

  /** The number of open rooms. */
  get roomCount() {
    return this.#rooms.size;
  }

  /**
   * Open a room. `AccessRefused` ends its events if the server refuses the join or removes the user.
   *
   * @param {string} id
   * @param {{since?: number, listen?: boolean}} [options] as for `Chat.room`
   * @throws {TypeError} if the room is open already
   */
  open(id, options) {
    if (this.#rooms.has(id)) throw new TypeError(`the room ${id} is open already; use the room object that is there`);
    const room = new RoomConversation(id, this.#surroundings, options);
    this.#rooms.set(id, room);
    return room;
  }

  /** Leave a room. @param {RoomConversation} room */
  leave(room) {
    room.close(null);
    this.#forget(room);
  }

  /**
   * Send a command that has no answer: now or not at all. A refusal is an event of the room.
   *
   * @param {RoomConversation} room
   * @param {Command} command
   * @returns {boolean} whether it was sent
   * @throws {CommandRefused} if it is longer than the server accepts
   */
  tell(room, command) {
    if (!room.isJoined) return false;
    const text = encode({ roomId: room.id, ...command, id: room.tellId });
    if (isLongerThan(text, this.#frameBytes)) throw tooBig();
    this.#outgoing.push(text);
    return true;
  }

  /** Join now in rooms that wait for their next attempt. */
  hurry() {
    for (const room of this.#rooms.values()) room.hurry();
  }

  /** End all rooms. @param {Error | null} error null: the program has closed the chat */
  end(error) {
    for (const room of this.#rooms.values()) room.close(error);
    this.#rooms.clear();
    this.events.end(error);
  }

  /** @param {RoomConversation} room a room that has ended */
  #forget(room) {
    if (this.#rooms.get(room.id) === room) this.#rooms.delete(room.id);
    const leave = room.farewell();
    if (leave !== null) this.#departures.add(leave);
  }

  // -- the connection ------------------------------------------------------------------------------------------------

  /** A connection was opened: start the login. */
  connected() {
    this.disconnected();
    this.#login = new Login(this.#userId, this.#publicPem);
    this.#send(...this.#login.begin());
  }

  /** The connection has ended. Requests that are safe to repeat are sent again later; the others fail with `Unanswered`. */
  disconnected() {
    this.#login = null;
    this.#isPaused = false;
    this.#outgoing = [];
    this.#scheduled = [];
    this.#departures.clear();
    for (const room of this.#rooms.values()) room.disconnected();
  }

  /** Whether the connection is of no more use: close it and reconnect after a pause. */
  get isBroken() {
    return this.#login?.isBroken ?? false;
  }

  /** The challenge to sign, in base64; then call `signed`. */
  get toSign() {
    return this.#login?.toSign ?? null;
  }

  /** The owner connects again. @param {number} milliseconds the pause before @param {string} why for people */
  reconnecting(milliseconds, why) {
    for (const room of this.#rooms.values()) room.reconnecting(milliseconds, why);
  }

  /** Answer the challenge in `toSign`. @param {string} signature in base64 */
  signed(signature) {
    if (this.#login !== null) this.#send(this.#login.signed(signature));
  }

  /** The texts to send now, oldest first. Each is returned once. @returns {string[]} */
  toSend() {
    const texts = this.#outgoing.splice(0);
    if (!this.isReady || this.#isPaused) return texts;
    texts.push(...this.#departures.next().map(encode));
    const rooms = [...this.#rooms.values()];
    let lookups = rooms.reduce((free, { requests }) => free - requests.lookupsInFlight, MAX_LOOKUPS_IN_FLIGHT);
    rooms.sort((a, b) => a.requests.lookupsInFlight - b.requests.lookupsInFlight);
    for (const room of rooms) {
      const before = room.requests.lookupsInFlight;
      texts.push(...this.#textsOf(room, lookups));
      lookups -= room.requests.lookupsInFlight - before;
    }
    return texts;
  }

  get #frameBytes() {
    return this.#login?.frameBytes ?? Infinity;
  }

  /** The texts of a room to send now. @param {RoomConversation} room @param {number} lookups @returns {string[]} */
  #textsOf(room, lookups) {
    const free = Math.min(lookups, MAX_LOOKUPS_OF_ROOM - room.requests.lookupsInFlight);
    const commands = room.next(free).map((command) => ({ id: String(command.id), text: encode(command) }));
    const tooBig = commands.filter(({ text }) => isLongerThan(text, this.#frameBytes));
    if (tooBig.length === 0) return commands.map(({ text }) => text);
    for (const { id } of tooBig) room.requests.failTooBig(id);
    const others = commands.filter((command) => !tooBig.includes(command));
    return [...others.map(({ text }) => text), ...this.#textsOf(room, lookups - others.length)]; // what they held up
  }

  /** The actions to call after pauses, unless the connection ends before. Each is returned once. */
  toSchedule() {
    return this.#scheduled.splice(0);
  }

  /** The server closed the connection because of a message's size: fail the longest in flight. @returns {boolean} whether there is one */
  failTooBig() {
    const size = (/** @type {PendingRequest} */ { command }) => encode(command).length;
    return this.#failInFlight((a, b) => size(b) - size(a), (room, id) => room.requests.failTooBig(id));
  }

  /**
   * Fail the first request in flight in this order.
   *
   * @param {(a: PendingRequest, b: PendingRequest) => number} order
   * @param {(room: RoomConversation, id: string) => void} fail
   */
  #failInFlight(order, fail) {
    const all = [...this.#rooms.values()].flatMap((room) => room.requests.inFlight.map((request) => ({ room, request })));
    const [first] = all.sort((a, b) => order(a.request, b.request));
    if (first !== undefined) fail(first.room, first.request.command.id);
    return first !== undefined;
  }

  /** @param {...Command} commands */
  #send(...commands) {
    this.#outgoing.push(...commands.map(encode));
  }

  // -- received texts ------------------------------------------------------------------------------------------------

  /**
   * Handle a received text. A text that is not a message is ignored.
   *
   * @param {string} text
   * @throws {AccessRefused} if the server refuses the login
   * @throws {ServerTooOld} if the server does not offer several rooms
   */
  receive(text) {
    const message = decode(text);
    if (message === null || this.#login === null) return;
    if (!this.#login.isDone) this.#send(...this.#login.receive(message));
    else if (message.id !== undefined) this.#answer(/** @type {any} */ (message));
    else if (message.type === "error" && message.roomId === undefined) this.#fail(message);
    else this.#deliver(message);
  }

  /** @param {ServerMessage & {id: string}} message */
  #answer(message) {
    if (message.type !== "error") this.#backoff.succeeded();
    if (this.#departures.has(message.id)) this.#answerLeave(message);
    const room = [...this.#rooms.values()].find((one) => one.isAwaiting(message.id));
    if (room === undefined) return; // to a request that has ended
    if (message.code === RATE_LIMIT && room.repeat(message.id)) this.#pause();
    else room.answer(message);
    if (room.end !== null) this.#forget(room);
  }

  /** @param {ServerMessage & {id: string}} message */
  #answerLeave(message) {
    if (!this.#departures.answered(message)) return;
    if (message.code === RATE_LIMIT) {
      this.#departures.requeue(message.id);
      this.#pause();
    } else {
      this.#later(this.#backoff.nextPause(), () => this.#departures.requeue(message.id));
    }
  }

  /** Handle an error that names neither a request nor a room. @param {ServerMessage} error */
  #fail(error) {
    if (error.code === "invalid_json") {
      const refused = new CommandRefused(error.message, error.code);
      this.#failInFlight((a, b) => a.sent - b.sent, (room, id) => room.requests.refused(id, refused));
    } else {
      this.#deliver(error);
    }
  }

  /** @param {ServerMessage} message */
  #deliver(message) {
    const room = this.#rooms.get(message.roomId);
    if (room !== undefined) {
      room.receive(message);
      if (room.end !== null) this.#forget(room);
    } else if (message.roomId === undefined || !ROOM_EVENTS.has(message.type)) {
      this.events.push(message);
    }
  }

  /** Send no requests for a while: the server limits the rate of the user, not of a room. */
  #pause() {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#later(this.#backoff.nextPause(), () => (this.#isPaused = false));
  }

  /** @param {number} milliseconds @param {() => void} act @returns {() => void} cancels it */
  #later(milliseconds, act) {
    const scheduled = { milliseconds, act, cancelled: () => {} };
    this.#scheduled.push(scheduled);
    return () => {
      this.#scheduled = this.#scheduled.filter((one) => one !== scheduled);
      scheduled.cancelled();
    };
  }
}
