/** What has been asked for and not been answered: what is sent when, and sent again, and who is told. Sans I/O. */

import { NotSent, TooMuchUnsent, Unanswered } from "./errors.mjs";

/** Requests that may wait for the server. */
const MOST_UNSENT = 1000;

/** Lookups on their way at a time: a server that finds them too many would be sent all of them again and again. */
const LOOKUPS_AT_ONCE = 16;

/**
 * @typedef {import("./conversation.mjs").ServerMessage} ServerMessage
 *
 * @typedef {Record<string, unknown> & {type: string}} Command
 *
 * @typedef {"post" | "lookup" | "once"} Kind
 * - `post`: sent until it is answered, one at a time.
 * - `lookup`: sent until it is answered, a few at a time.
 * - `once`: sent once, at once; it fails with `Unanswered` if nobody knows what became of it.
 *
 * @typedef {object} Waiting
 * @property {Kind} kind
 * @property {Command} command
 * @property {(answer: ServerMessage) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * Posts are sent one at a time, the next when the last has been answered: only so do they keep their order whatever
 * fails in between. The price is one message for each way to the server and back.
 */
export class Requests {
  /** @type {Map<string, Waiting>} in the order of asking */
  #waiting = new Map();
  /** @type {Set<string>} sent on this connection, and not answered yet */
  #onTheWay = new Set();

  /** How many have not been answered. */
  get size() {
    return this.#waiting.size;
  }

  /**
   * Wait for the answer to a command: the promise is resolved by `answered`. Throws `TooMuchUnsent`.
   *
   * @param {Kind} kind
   * @param {Command & {id: string}} command
   * @returns {Promise<ServerMessage>}
   */
  add(kind, command) {
    if (this.#waiting.size >= MOST_UNSENT) throw new TooMuchUnsent(MOST_UNSENT);
    return new Promise((resolve, reject) => this.#waiting.set(command.id, { kind, command, resolve, reject }));
  }

  /** The commands that are to be sent now, oldest first; each is returned once. @returns {Command[]} */
  next() {
    const commands = [];
    const free = { post: 1, lookup: LOOKUPS_AT_ONCE, once: Infinity };
    for (const [id, { kind, command }] of this.#waiting) {
      if (free[kind] === 0) continue;
      free[kind] -= 1;
      if (this.#onTheWay.has(id)) continue;
      this.#onTheWay.add(id);
      commands.push(command);
    }
    return commands;
  }

  /** @param {string} id @param {ServerMessage} answer */
  answered(id, answer) {
    this.#end(id)?.resolve(answer); // nobody waits for the second answer to what had been sent again
  }

  /** @param {string} id @param {Error} error */
  refused(id, error) {
    this.#end(id)?.reject(error);
  }

  /** Whether this one waits for its answer, and may be sent again. @param {string} id */
  maySendAgain(id) {
    const waiting = this.#waiting.get(id);
    return waiting !== undefined && waiting.kind !== "once";
  }

  /** It is still to be sent. @param {string} id */
  sendAgain(id) {
    this.#onTheWay.delete(id);
  }

  /** All that is on its way is sent again, and what may not be sent twice has no answer. @param {string} why */
  sendAllAgain(why) {
    for (const id of this.#onTheWay) {
      if (this.#waiting.get(id)?.kind === "once") this.refused(id, new Unanswered(why));
    }
    this.#onTheWay.clear();
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
    this.refused(id, new NotSent(text, "too_big"));
    return true;
  }

  /** Who waits for an answer waits no more. @param {Error} error */
  giveUp(error) {
    for (const id of [...this.#waiting.keys()]) this.refused(id, error);
  }

  /** @param {string} id */
  #end(id) {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    this.#onTheWay.delete(id);
    return waiting;
  }
}
