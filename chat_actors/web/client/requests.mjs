/** Tracks requests until they are answered: decides which to send, to send again, or to fail. No I/O. */

import { CommandRefused, TooMuchUnsent, Unanswered } from "./errors.mjs";

/** The maximum number of requests without an answer. */
const MAX_UNANSWERED = 1000;

/**
 * The maximum number of lookups in flight. A refusal at the rate limit names no request, so all requests in flight are
 * sent again: with more of them, the repeats alone could exceed the limit each time.
 */
const MAX_LOOKUPS_IN_FLIGHT = 16;

/**
 * @typedef {import("./conversation.mjs").ServerMessage} ServerMessage
 *
 * @typedef {Record<string, unknown> & {type: string}} Command
 *
 * @typedef {"post" | "lookup" | "once"} RetryPolicy
 * - `post`: sent until it is answered, one at a time.
 * - `lookup`: sent until it is answered, `MAX_LOOKUPS_IN_FLIGHT` at a time.
 * - `once`: sent once, without waiting for others. It fails with `Unanswered` if the connection ends before its answer.
 *
 * @typedef {object} PendingRequest
 * @property {RetryPolicy} policy
 * @property {Command} command
 * @property {(answer: ServerMessage) => void} resolve
 * @property {(error: Error) => void} reject
 */

/**
 * The requests without an answer.
 *
 * A post is sent after the answer to the post before it, so posts keep their order when one of them fails. This costs one
 * round trip for each post.
 */
export class Requests {
  /** @type {Map<string, PendingRequest>} by id, in the order of `add` */
  #pending = new Map();
  /** @type {Set<string>} sent on this connection, not answered yet */
  #inFlight = new Set();

  /** The number of requests without an answer. */
  get size() {
    return this.#pending.size;
  }

  /**
   * Add a request.
   *
   * @param {RetryPolicy} policy
   * @param {Command & {id: string}} command
   * @returns {Promise<ServerMessage>} resolved by `answered`, rejected by `refused` and `failAll`
   * @throws {TooMuchUnsent} if `MAX_UNANSWERED` requests have no answer yet
   */
  add(policy, command) {
    if (this.#pending.size >= MAX_UNANSWERED) throw new TooMuchUnsent(MAX_UNANSWERED);
    return new Promise((resolve, reject) => this.#pending.set(command.id, { policy, command, resolve, reject }));
  }

  /** Take the commands to send now, oldest first. @returns {Command[]} */
  next() {
    const commands = [];
    const free = { post: 1, lookup: MAX_LOOKUPS_IN_FLIGHT, once: Infinity };
    for (const [id, { policy, command }] of this.#pending) {
      if (free[policy] === 0) continue;
      free[policy] -= 1;
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

  /** Whether this request has no answer yet and may be sent more than once. @param {string} id */
  isRetryable(id) {
    const pending = this.#pending.get(id);
    return pending !== undefined && pending.policy !== "once";
  }

  /** Let `next` return this request again. @param {string} id */
  requeue(id) {
    this.#inFlight.delete(id);
  }

  /** Let `next` return all requests in flight again. Fail those that may be sent only once. @param {string} why */
  requeueAll(why) {
    for (const id of this.#inFlight) {
      if (this.#pending.get(id)?.policy === "once") this.refused(id, new Unanswered(why));
    }
    this.#inFlight.clear();
  }

  /**
   * Fail the request whose size made the server close the connection. It must not be sent again.
   *
   * @param {string} text the reason, for people
   * @returns {boolean} whether there was such a request
   */
  failInFlight(text) {
    const ids = [...this.#inFlight];
    const id = ids.find((one) => this.#pending.get(one)?.policy === "post") ?? ids[0];
    if (id === undefined) return false;
    this.refused(id, new CommandRefused(text, "too_big"));
    return true;
  }

  /** Fail all requests. @param {Error} error */
  failAll(error) {
    for (const id of [...this.#pending.keys()]) this.refused(id, error);
  }

  /** @param {string} id */
  #end(id) {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    this.#inFlight.delete(id);
    return pending;
  }
}
