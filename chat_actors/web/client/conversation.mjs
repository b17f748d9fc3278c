/**
 * One user in one room over any number of connections: what to send on each, and which received messages are new.
 *
 * Theory of operation. The core does no I/O. Its owner reports `connected()` and `disconnected()`, passes each text to
 * `receive()`, sends all texts of `toSend()`, and signs `toSign`. On each connection the steps are "offline" → "login" →
 * "joining" → "inside". Two things outlive a connection: the number of the last message received (`#position`), and the
 * requests without an answer (`Requests`). A rejoin sends the position as `since`, and messages up to it are dropped, so
 * each message is returned once, in order, or a `gap` is. Posts are sent again with their `clientMsgId`, which the server
 * deduplicates.
 */

import { AccessRefused, CommandRefused } from "./errors.mjs";
import { Requests } from "./requests.mjs";

/** Codes of errors that may not occur at a later attempt. */
const TRANSIENT = new Set(["not_stored", "room_failed", "too_many_messages", "too_many_rooms", "internal_failure"]);

/** The connection is out of the room, for no fault of the user: a new connection can rejoin. */
const ROOM_LOST = new Set(["room_closed", "not_in_room"]);

/**
 * A message of the server as it was received: `type` and its fields. Messages of extensions included.
 *
 * @typedef {{type: string, id?: string, [field: string]: any}} ServerMessage
 *
 * The client's own events:
 * - `entered`: the user is in the room for the first time. `seq`: the number of the last message so far; `missed`: how
 *   many messages after `since` come next; `state`: the state that the room kind sent.
 * - `reconnecting`: the connection is lost; the next attempt is in `milliseconds`. `why` is a text for people.
 * - `reconnected`: the user is in the room again. `missed`: how many messages were missed; those still kept come next.
 * - `gap`: messages are missing here, because the server no longer keeps them. `lost`: how many; null if unknown.
 *
 * @typedef {{type: "entered", seq: number, missed: number, state?: any} |
 *   {type: "reconnecting", milliseconds: number, why: string} |
 *   {type: "reconnected", missed: number} |
 *   {type: "gap", lost: number | null}} OwnEvent
 *
 * @typedef {ServerMessage | OwnEvent} ChatEvent
 */

/** Each post is stored once and each message is returned once, or the caller gets an error or a `gap`. */
export class Conversation {
  /** Whether a request failed that may succeed later: call `retry` after a pause. */
  needsRetry = false;
  /** Whether the connection is of no more use: close it and reconnect after a pause. */
  isBroken = false;
  /** The challenge to sign, in base64; then call `signed`. @type {string | null} */
  toSign = null;
  #step = "offline";
  #userId;
  #roomId;
  #publicPem;
  #newId;
  /** @type {string[]} */
  #outgoing = [];
  #requests = new Requests();
  #hasRegistered = false;
  /** @type {number | null} the number of the last message received */
  #position = null;
  #hasJoined = false;
  #joinId = "";

  /**
   * @param {string} userId
   * @param {string} publicPem
   * @param {string | null} roomId null: log in only
   * @param {() => string} newId makes ids of at most 64 characters that no client of this user has used before
   * @param {number | null} [since] the `seq` of the last message that the user has already
   */
  constructor(userId, publicPem, roomId, newId, since = null) {
    this.#userId = userId;
    this.#publicPem = publicPem;
    this.#roomId = roomId;
    this.#newId = newId;
    this.#position = since;
  }

  /** Whether the user is in the room. */
  get isInside() {
    return this.#step === "inside";
  }

  /** The number of requests without an answer. */
  get unanswered() {
    return this.#requests.size;
  }

  // -- the connection -------------------------------------------------------------------------------------------------

  /** A connection was opened: start the login. */
  connected() {
    this.disconnected();
    this.#step = "login";
    this.#hasRegistered = false;
    this.#send({ type: "get_challenge" });
  }

  /** The connection has ended. Requests that are safe to repeat are sent again later; the others fail with `Unanswered`. */
  disconnected() {
    this.#step = "offline";
    this.isBroken = this.needsRetry = false;
    this.toSign = null;
    this.#outgoing = [];
    this.#requests.requeueAll("the connection broke");
  }

  /** Fail all requests without an answer. @param {Error} error */
  failAll(error) {
    this.#requests.failAll(error);
  }

  /** The texts to send now, oldest first. Each is returned once. */
  toSend() {
    return this.#outgoing.splice(0);
  }

  /** Answer the challenge in `toSign`. @param {string} signature in base64 */
  signed(signature) {
    this.toSign = null;
    this.#send({ type: "authenticate", userId: this.#userId, signature });
  }

  /** Send failed requests again. Does nothing if the connection has ended in the meantime. */
  retry() {
    if (!this.needsRetry || !this.isInside) return;
    this.needsRetry = false;
    this.#sendWaiting();
  }

  /**
   * Fail the request whose size made the server close the connection. It must not be sent again.
   *
   * @param {string} text the reason, for people
   * @returns {boolean} whether there was such a request
   */
  failInFlight(text) {
    return this.#requests.failInFlight(text);
  }

  // -- requests ------------------------------------------------------------------------------------------------------

  /**
   * Post a message. It is stored once, over any number of connections.
   *
   * @param {string} content
   * @returns {Promise<ServerMessage>} `accepted`; rejects with `CommandRefused`, or with the error given to `failAll`
   * @throws {TooMuchUnsent} if too many requests wait already
   */
  post(content) {
    return this.#ask("post", (id) => ({ type: "chat_message", content, clientMsgId: id }));
  }

  /**
   * Send a request that changes nothing and may therefore be repeated: `history`, `members`.
   *
   * @param {Record<string, unknown> & {type: string}} command
   */
  query(command) {
    return this.#ask("lookup", () => command);
  }

  /**
   * Send any command, such as an extension's. It is sent once and rejects with `Unanswered` if the connection ends
   * before the answer.
   *
   * @param {Record<string, unknown> & {type: string}} command
   */
  ask(command) {
    return this.#ask("once", () => command);
  }

  /**
   * Send a command that has no answer. It is sent now or not at all.
   *
   * @param {Record<string, unknown> & {type: string}} command
   * @returns {boolean} whether it was sent
   */
  tell(command) {
    if (this.isInside) this.#send(command);
    return this.isInside;
  }

  /**
   * @param {import("./requests.mjs").RetryPolicy} policy
   * @param {(id: string) => import("./requests.mjs").Command} make
   */
  #ask(policy, make) {
    const id = this.#newId();
    const answer = this.#requests.add(policy, { ...make(id), id });
    this.#sendWaiting();
    return answer;
  }

  #sendWaiting() {
    if (!this.isInside || this.needsRetry) return;
    for (const command of this.#requests.next()) this.#send(command);
  }

  /** @param {Record<string, unknown>} command */
  #send(command) {
    this.#outgoing.push(JSON.stringify(command));
  }

  // -- received texts -------------------------------------------------------------------------------------------------

  /**
   * Handle a received text. A text that is not a message is ignored.
   *
   * @param {string} text
   * @returns {ChatEvent[]} what is new to the user
   * @throws {AccessRefused} if the server refuses the login or the join
   */
  receive(text) {
    const message = parsed(text);
    if (message === null) return [];
    return this.#step === "login" ? this.#logIn(message) : this.#step === "joining" ? this.#join(message) : this.#receiveInside(message);
  }

  /** @param {ServerMessage} message */
  #logIn(message) {
    switch (message.type) {
      case "challenge":
        this.toSign = message.challenge;
        break;
      case "registered":
        this.#send({ type: "get_challenge" });
        break;
      case "authenticated":
        if (this.#roomId === null) {
          this.#step = "inside";
          return [{ type: "entered", seq: 0, missed: 0 }];
        }
        this.#step = "joining";
        this.#joinId = this.#newId();
        this.#send({
          type: "join",
          userId: this.#userId,
          roomId: this.#roomId,
          id: this.#joinId,
          ...(this.#position === null ? {} : { since: this.#position }),
        });
        break;
      case "error":
        if (message.code === "user_not_registered" && !this.#hasRegistered) {
          this.#hasRegistered = true;
          this.#send({ type: "register", userId: this.#userId, publicKey: this.#publicPem });
        } else if (message.code === "user_exists") {
          this.#send({ type: "get_challenge" }); // another room of the same user registered it first
        } else if (TRANSIENT.has(message.code)) {
          this.isBroken = true;
        } else {
          throw new AccessRefused(this.#hasRegistered ? "register" : "log in", message.message, message.code);
        }
    }
    return [];
  }

  /**
   * @param {ServerMessage} message
   * @returns {ChatEvent[]}
   */
  #join(message) {
    if (message.id !== this.#joinId) return [];
    if (message.type === "error") {
      if (!TRANSIENT.has(message.code) && !ROOM_LOST.has(message.code)) {
        throw new AccessRefused("join", message.message, message.code);
      }
      this.isBroken = true;
      return [];
    }
    this.#step = "inside";
    this.#sendWaiting();
    const missed = message.missed ?? 0;
    /** @type {ChatEvent} */
    const arrival = this.#hasJoined
      ? { type: "reconnected", missed }
      : { type: "entered", seq: message.seq, missed, state: message.state };
    this.#hasJoined = true;
    // Without a count the server has restarted its numbering, so the next message may have a lower number.
    if (this.#position === null || (message.recovered === false && message.lost === undefined)) {
      this.#position = message.seq;
    }
    return message.recovered === false ? [arrival, { type: "gap", lost: message.lost ?? null }] : [arrival];
  }

  /**
   * @param {ServerMessage} message
   * @returns {ChatEvent[]}
   */
  #receiveInside(message) {
    if (message.type === "error") return this.#fail(message);
    if (message.type === "chat_message") {
      if (this.#position !== null && message.seq <= this.#position) return [];
      this.#position = message.seq;
      return [message];
    }
    if (message.id === undefined) return [message];
    this.#requests.answered(message.id, message);
    this.#sendWaiting();
    return [];
  }

  /**
   * @param {ServerMessage} error
   * @returns {ChatEvent[]}
   */
  #fail(error) {
    const isAboutRoom = error.roomId === this.#roomId;
    if (ROOM_LOST.has(error.code) || (isAboutRoom && TRANSIENT.has(error.code))) {
      this.isBroken = true;
      return [];
    }
    if (isAboutRoom) throw new AccessRefused("join", error.message, error.code);
    if (TRANSIENT.has(error.code) && (error.id === undefined || this.#requests.isRetryable(error.id))) {
      // The server refuses a frame over the rate limit without reading its id, so all requests in flight are sent again.
      if (error.id === undefined) this.#requests.requeueAll(error.message);
      else this.#requests.requeue(error.id);
      this.needsRetry = true;
      return [];
    }
    if (error.id === undefined) return [error];
    this.#requests.refused(error.id, new CommandRefused(error.message, error.code));
    this.#sendWaiting();
    return [];
  }
}

/** @param {string} text @returns {ServerMessage | null} */
function parsed(text) {
  try {
    const message = JSON.parse(text);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}
