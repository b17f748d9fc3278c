/** The requests without an answer: which to send now, which to send again, and which to fail. No I/O. */

import { CommandRefused, TooMuchUnsent, Unanswered } from "./errors.mjs";

/** The most requests that may wait for an answer. */
const MOST_UNSENT = 1000;

/** Lookups in flight at a time. With more, a server over its rate limit would get all of them again and again. */
const LOOKUPS_AT_ONCE = 16;

/**
 * @typedef {import("./conversation.mjs").ServerMessage} ServerMessage
 *
 * @typedef {Record<string, unknown> & {type: string}} Command
 *
 * @typedef {"post" | "lookup" | "once"} Repeat
 * - `post`: sent until it is answered, one at a time.
 * - `lookup`: sent until it is answered, `LOOKUPS_AT_ONCE` at a time.
 * - `once`: sent once, at once; it fails with `Unanswered` if the connection ends before its answer.
 *
 * @typedef {object} Waiting
 * @property {Repeat} repeat
 * @property {Command} command
 * @property {(answer: ServerMessage) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * Posts are sent one at a time, each after the answer to the one before: this keeps their order when one of them fails.
 * The price is one round trip for each message.
 */
export class Requests {
  /** @type {Map<string, Waiting>} in the order of `add` */
  #waiting = new Map();
  /** @type {Set<string>} sent on this connection, not answered yet */
  #inFlight = new Set();

  /** The number of requests without an answer. */
  get size() {
    return this.#waiting.size;
  }

  /**
   * Add a request.
   *
   * @param {Repeat} repeat
   * @param {Command & {id: string}} command
   * @returns {Promise<ServerMessage>} resolved by `answered`, rejected by `refused` and `giveUp`
   * @throws {TooMuchUnsent} if `MOST_UNSENT` requests wait already
   */
  add(repeat, command) {
    if (this.#waiting.size >= MOST_UNSENT) throw new TooMuchUnsent(MOST_UNSENT);
    return new Promise((resolve, reject) => this.#waiting.set(command.id, { repeat, command, resolve, reject }));
  }

  /** The commands to send now, oldest first. Each is returned once. @returns {Command[]} */
  next() {
    const commands = [];
    const free = { post: 1, lookup: LOOKUPS_AT_ONCE, once: Infinity };
    for (const [id, { repeat, command }] of this.#waiting) {
      if (free[repeat] === 0) continue;
      free[repeat] -= 1;
      if (this.#inFlight.has(id)) continue;
      this.#inFlight.add(id);
      commands.push(command);
    }
    return commands;
  }

  /** @param {string} id @param {ServerMessage} answer */
  answered(id, answer) {
    this.#end(id)?.resolve(answer); // a request that was sent again may be answered twice
  }

  /** @param {string} id @param {Error} error */
  refused(id, error) {
    this.#end(id)?.reject(error);
  }

  /** Whether this request has no answer yet and may be sent again. @param {string} id */
  maySendAgain(id) {
    const waiting = this.#waiting.get(id);
    return waiting !== undefined && waiting.repeat !== "once";
  }

  /** Send this request again. @param {string} id */
  sendAgain(id) {
    this.#inFlight.delete(id);
  }

  /** Send all requests in flight again; fail those that may not be sent twice. @param {string} why */
  sendAllAgain(why) {
    for (const id of this.#inFlight) {
      if (this.#waiting.get(id)?.repeat === "once") this.refused(id, new Unanswered(why));
    }
    this.#inFlight.clear();
  }

  /**
   * Fail the request that made the server close the connection: sent again, it would do so again.
   *
   * @param {string} text the reason, for people
   * @returns {boolean} whether there was such a request
   */
  refuseHead(text) {
    const ids = [...this.#inFlight];
    const id = ids.find((one) => this.#waiting.get(one)?.repeat === "post") ?? ids[0];
    if (id === undefined) return false;
    this.refused(id, new CommandRefused(text, "too_big"));
    return true;
  }

  /** Fail all requests. @param {Error} error */
  giveUp(error) {
    for (const id of [...this.#waiting.keys()]) this.refused(id, error);
  }

  /** @param {string} id */
  #end(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#inFlight.delete(id);
    return waiting;
  }
}
