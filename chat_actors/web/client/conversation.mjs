/**
 * One user's stay in one room over any number of connections: what to send on each, and what is new in what comes.
 *
 * Sans I/O: give it each text that comes, send all of `toSend()`, sign what it says is `toSign`, and say when a
 * connection begins and ends.
 */

import { NotSent, Refused, TooMuchUnsent, Unanswered } from "./errors.mjs";

/** Codes of errors that a later try may not meet. */
const PASSING = new Set(["not_stored", "room_failed", "too_many_messages", "too_many_rooms", "internal_failure"]);

/** The room is lost to this connection, without a reason: a new one leads back in. */
const ROOM_LOST = new Set(["room_closed", "not_in_room"]);

/** Requests that may wait for the server. */
const MOST_UNSENT = 1000;

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
 *
 * @typedef {object} Waiting what waits for its answer
 * @property {Record<string, unknown>} command
 * @property {(answer: ServerMessage) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {"post" | "lookup" | "once"} kind
 */

/**
 * Nothing that is said is lost or said twice, and nothing that is heard is missed or heard twice, or it is told.
 *
 * Posts are sent one at a time, the next when the last has been answered: only so do they keep their order whatever
 * fails in between. The price is one message for each way to the server and back.
 */
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
  /** @type {Map<string, Waiting>} in the order of asking */
  #waiting = new Map();
  /** @type {Set<string>} sent on this connection, and not answered yet */
  #onTheWay = new Set();
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
    return this.#waiting.size;
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
    this.#sendAgain("the connection broke");
  }

  /** What is on its way is sent again, and what may not be sent twice has no answer. @param {string} why */
  #sendAgain(why) {
    for (const id of this.#onTheWay) {
      if (this.#waiting.get(id)?.kind === "once") this.#end(id)?.reject(new Unanswered(why));
    }
    this.#onTheWay.clear();
  }

  /** Who waits for an answer waits no more. @param {Error} error */
  giveUp(error) {
    for (const id of [...this.#waiting.keys()]) this.#end(id)?.reject(error);
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
    const ids = [...this.#onTheWay];
    const id = ids.find((one) => this.#waiting.get(one)?.kind === "post") ?? ids[0];
    if (id === undefined) return false;
    this.#end(id)?.reject(new NotSent(text, "too_big"));
    return true;
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
   * @param {Waiting["kind"]} kind
   * @param {(id: string) => Record<string, unknown>} make
   * @returns {Promise<ServerMessage>}
   */
  #ask(kind, make) {
    if (this.#waiting.size >= MOST_UNSENT) throw new TooMuchUnsent(MOST_UNSENT);
    const id = this.#newId();
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { kind, command: { ...make(id), id }, resolve, reject });
      this.#sendWaiting();
    });
  }

  #sendWaiting() {
    if (!this.isInside || this.wantsRetry) return;
    let isPosting = false;
    for (const [id, { kind, command }] of this.#waiting) {
      if (kind === "post" && isPosting) continue;
      isPosting ||= kind === "post";
      if (this.#onTheWay.has(id)) continue;
      this.#onTheWay.add(id);
      this.#send(command);
    }
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
    this.#end(message.id)?.resolve(message); // without anybody who waits: the answer to what had been sent again
    this.#sendWaiting();
    return [];
  }

  /**
   * @param {ServerMessage} error
   * @returns {ChatEvent[]}
   */
  #fail(error) {
    const waiting = error.id === undefined ? undefined : this.#waiting.get(error.id);
    if (ROOM_LOST.has(error.code)) {
      this.isBroken = true;
      return [];
    }
    if (error.roomId === this.#roomId) throw new Refused("join", error.message, error.code);
    const maySendAgain = waiting === undefined ? error.id === undefined : waiting.kind !== "once";
    if (maySendAgain && PASSING.has(error.code)) {
      // Too fast a frame is refused unread, so nobody knows which it was: whatever is on its way is sent again.
      if (error.id === undefined) this.#sendAgain(error.message);
      else this.#onTheWay.delete(error.id);
      this.wantsRetry = true;
      return [];
    }
    if (error.id === undefined) return [error];
    this.#end(error.id)?.reject(new NotSent(error.message, error.code));
    this.#sendWaiting();
    return [];
  }

  /** It has been answered. @param {string} id */
  #end(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#onTheWay.delete(id);
    return waiting;
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
