/**
 * One user's stay in one room over any number of connections: what to send on each, and what is new in what comes.
 *
 * Sans I/O: give it each text that comes, send all of `toSend()`, sign what it says is `toSign`, and say when a
 * connection begins and ends.
 */

import { NotSent, Refused } from "./errors.mjs";
import { Requests } from "./requests.mjs";

/** Codes of errors that a later try may not meet. */
const PASSING = new Set(["not_stored", "room_failed", "too_many_messages", "too_many_rooms", "internal_failure"]);

/** The room is lost to this connection, without a reason: a new one leads back in. */
const ROOM_LOST = new Set(["room_closed", "not_in_room"]);

/**
 * What the server says, as it came: `type` and its fields. Of extensions as well.
 *
 * @typedef {{type: string, id?: string, [field: string]: any}} ServerMessage
 *
 * Besides, what there is to know of the connection:
 * - `entered`: the user is in the room for the first time. `seq`: of the last message before; `missed`: of the messages
 *   before it so many come next, since the user knows the room up to an earlier one; `state`: the kind's.
 * - `reconnecting`: the connection is lost, and tried for again in so many `milliseconds`; `why` is for people.
 * - `reconnected`: the user is in the room again, `missed` so many messages, which come next, as far as they are kept.
 * - `gap`: some messages are missing here, they are not kept any more. `lost`: how many, null if unknown.
 *
 * @typedef {{type: "entered", seq: number, missed: number, state?: any} |
 *   {type: "reconnecting", milliseconds: number, why: string} |
 *   {type: "reconnected", missed: number} |
 *   {type: "gap", lost: number | null}} OwnEvent
 *
 * @typedef {ServerMessage | OwnEvent} ChatEvent
 */

/** Nothing that is said is lost or said twice, and nothing that is heard is missed or heard twice, or it is told. */
export class Conversation {
  /** Whether something has failed that may go well later: call `retry` after a pause. */
  wantsRetry = false;
  /** The connection is of no use any more: end it, and come back after a pause. */
  isBroken = false;
  /** What is to be signed, in base64: call `signed`. @type {string | null} */
  toSign = null;
  /** The step: "offline", "login", "joining", "inside". */
  #step = "offline";
  #userId;
  #roomId;
  #publicPem;
  #newId;
  /** @type {string[]} */
  #outgoing = [];
  #requests = new Requests();
  #hasRegistered = false;
  /** @type {number | null} the number of the last message heard */
  #position = null;
  #hasEntered = false;
  #joinId = "";

  /**
   * @param {string} userId
   * @param {string} publicPem
   * @param {string | null} roomId null: only log in
   * @param {() => string} newId ids that no other client of this user ever used, of at most 64 characters
   * @param {number | null} [since] the `seq` of the last message that the user knows already
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

  /** How much has not been answered. */
  get unsent() {
    return this.#requests.size;
  }

  // -- the connection -------------------------------------------------------------------------------------------------

  /** A new connection begins: first of all the user is logged in. */
  connected() {
    this.disconnected();
    this.#step = "login";
    this.#hasRegistered = false;
    this.#send({ type: "get_challenge" });
  }

  /** The connection has ended. What can be asked again will be; the rest fails, since nobody knows what became of it. */
  disconnected() {
    this.#step = "offline";
    this.isBroken = this.wantsRetry = false;
    this.toSign = null;
    this.#outgoing = [];
    this.#requests.sendAllAgain("the connection broke");
  }

  /** Who waits for an answer waits no more. @param {Error} error */
  giveUp(error) {
    this.#requests.giveUp(error);
  }

  /** The texts that are to be sent now, oldest first; each is returned once. */
  toSend() {
    return this.#outgoing.splice(0);
  }

  /** What was `toSign` has been signed. @param {string} signature in base64 */
  signed(signature) {
    this.toSign = null;
    this.#send({ type: "authenticate", userId: this.#userId, signature });
  }

  /** Try again what has failed. Of no effect on a connection that has ended meanwhile. */
  retry() {
    if (!this.wantsRetry || !this.isInside) return;
    this.wantsRetry = false;
    this.#sendWaiting();
  }

  /**
   * What was sent last ended the connection, and would again: it fails, and the rest goes on.
   *
   * @param {string} text
   * @returns {boolean} whether there was any
   */
  refuseHead(text) {
    return this.#requests.refuseHead(text);
  }

  // -- what the user wants --------------------------------------------------------------------------------------------

  /**
   * Say something: once, whatever happens to the connection. Throws `TooMuchUnsent`.
   *
   * @param {string} content
   * @returns {Promise<ServerMessage>} `accepted`; or `NotSent`, or what it was given up for
   */
  post(content) {
    return this.#ask("post", (id) => ({ type: "chat_message", content, clientMsgId: id }));
  }

  /**
   * Ask for something that changes nothing, so that it may be asked again: history, members.
   *
   * @param {Record<string, unknown> & {type: string}} command
   */
  lookUp(command) {
    return this.#ask("lookup", () => command);
  }

  /**
   * Any command, of an extension for example. It is sent once: if the connection breaks before the answer,
   * it fails with `Unanswered`.
   *
   * @param {Record<string, unknown> & {type: string}} command
   */
  ask(command) {
    return this.#ask("once", () => command);
  }

  /**
   * Send a command that has no answer, now or never.
   *
   * @param {Record<string, unknown> & {type: string}} command
   * @returns {boolean} whether it could be sent
   */
  tell(command) {
    if (this.isInside) this.#send(command);
    return this.isInside;
  }

  /**
   * @param {import("./requests.mjs").Kind} kind
   * @param {(id: string) => import("./requests.mjs").Command} make
   */
  #ask(kind, make) {
    const id = this.#newId();
    const answer = this.#requests.add(kind, { ...make(id), id });
    this.#sendWaiting();
    return answer;
  }

  #sendWaiting() {
    if (!this.isInside || this.wantsRetry) return;
    for (const command of this.#requests.next()) this.#send(command);
  }

  /** @param {Record<string, unknown>} command */
  #send(command) {
    this.#outgoing.push(JSON.stringify(command));
  }

  // -- what comes -----------------------------------------------------------------------------------------------------

  /**
   * Take what has come; what is new for the user. Throws `Refused` if the server does not let the user in.
   * What is no message is passed over.
   *
   * @param {string} text
   * @returns {ChatEvent[]}
   */
  receive(text) {
    const message = parsed(text);
    if (message === null) return [];
    return this.#step === "login" ? this.#logIn(message) : this.#step === "joining" ? this.#join(message) : this.#hear(message);
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
          this.#send({ type: "get_challenge" }); // another room of the same user was faster
        } else if (PASSING.has(message.code)) {
          this.isBroken = true;
        } else {
          throw new Refused(this.#hasRegistered ? "register" : "log in", message.message, message.code);
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
      if (!PASSING.has(message.code) && !ROOM_LOST.has(message.code)) {
        throw new Refused("join", message.message, message.code);
      }
      this.isBroken = true;
      return [];
    }
    this.#step = "inside";
    this.#sendWaiting();
    const missed = message.missed ?? 0;
    /** @type {ChatEvent} */
    const back = this.#hasEntered
      ? { type: "reconnected", missed }
      : { type: "entered", seq: message.seq, missed, state: message.state };
    this.#hasEntered = true;
    // Without a count the numbers have begun anew, so what is heard next may have a lower one.
    if (this.#position === null || (message.recovered === false && message.lost === undefined)) {
      this.#position = message.seq;
    }
    return message.recovered === false ? [back, { type: "gap", lost: message.lost ?? null }] : [back];
  }

  /**
   * @param {ServerMessage} message
   * @returns {ChatEvent[]}
   */
  #hear(message) {
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
    if (ROOM_LOST.has(error.code)) {
      this.isBroken = true;
      return [];
    }
    if (error.roomId === this.#roomId) throw new Refused("join", error.message, error.code);
    if (PASSING.has(error.code) && (error.id === undefined || this.#requests.maySendAgain(error.id))) {
      // Too fast a frame is refused unread, so nobody knows which it was: whatever is on its way is sent again.
      if (error.id === undefined) this.#requests.sendAllAgain(error.message);
      else this.#requests.sendAgain(error.id);
      this.wantsRetry = true;
      return [];
    }
    if (error.id === undefined) return [error];
    this.#requests.refused(error.id, new NotSent(error.message, error.code));
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
