/** Tracks the requests of a room until they are answered: decides which to send, to send again, or to fail. No I/O. */

import { Backoff } from "./backoff.mjs";
import { tooBig, TooMuchUnsent, Unanswered } from "./errors.mjs";

/** The maximum number of requests of a room without an answer. */
const MAX_UNANSWERED = 1000;

/**
 * @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage
 *
 * @typedef {Record<string, unknown> & {type: string}} Command
 *
 * @typedef {"post" | "lookup" | "once"} RetryPolicy
 * - `post`: sent until it is answered, one at a time.
 * - `lookup`: sent until it is answered.
 * - `once`: sent once, without waiting for others. It fails with `Unanswered` if its answer cannot come any more.
 *
 * @typedef {object} PendingRequest
 * @property {RetryPolicy} policy
 * @property {Command & {id: string}} command
 * @property {Backoff} backoff
 * @property {number} sent counts up with each command sent, over all rooms
 * @property {(answer: ServerMessage) => void} resolve
 * @property {(error: Error) => void} reject
 */

let commandsSent = 0;

/**
 * The requests of one room without an answer.
 *
 * A post is sent after the answer to the post before it, so posts keep their order when one of them fails. This costs one
 * round trip for each post.
 */
export class Requests {
  #random;
  /** @type {Map<string, PendingRequest>} by id */
  #pending = new Map();
  /** Not sent on this connection, or to be sent again: ids, oldest first. @type {Record<RetryPolicy, Set<string>>} */
  #waiting = { post: new Set(), lookup: new Set(), once: new Set() };
  /** Sent on this connection, not answered yet. @type {Set<string>} */
  #inFlight = new Set();
  /** Failed; sent again after a pause. @type {Set<string>} */
  #held = new Set();

  /** @param {() => number} random for the pauses */
  constructor(random) {
    this.#random = random;
  }

  /** The number of requests without an answer. */
  get size() {
    return this.#pending.size;
  }

  /** The number of lookups in flight. */
  get lookupsInFlight() {
    return this.inFlight.filter(({ policy }) => policy === "lookup").length;
  }

  /** The requests in flight, in the order in which they were sent. @returns {PendingRequest[]} */
  get inFlight() {
    return [...this.#inFlight].flatMap((id) => this.#pending.get(id) ?? []);
  }

  /** @param {string} id */
  has(id) {
    return this.#pending.has(id);
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
    this.#waiting[policy].add(command.id);
    return new Promise((resolve, reject) => {
      this.#pending.set(command.id, { policy, command, backoff: new Backoff(this.#random), sent: 0, resolve, reject });
    });
  }

  /** Take the commands to send now. @param {number} lookups the most lookups among them */
  next(lookups) {
    const { post, lookup, once } = this.#waiting;
    const ids = [...(this.#isPosting ? [] : first(post, 1)), ...once, ...first(lookup, lookups)];
    return ids.flatMap((id) => {
      const pending = this.#pending.get(id);
      if (pending === undefined) return [];
      this.#waiting[pending.policy].delete(id);
      this.#inFlight.add(id);
      pending.sent = commandsSent += 1;
      return pending.command;
    });
  }

  /** Whether a post is in flight or held. */
  get #isPosting() {
    return [...this.#inFlight, ...this.#held].some((id) => this.#pending.get(id)?.policy === "post");
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
    const pending = this.#pending.get(id);
    if (pending === undefined || !(this.#inFlight.delete(id) || this.#held.delete(id))) return;
    this.#waiting[pending.policy] = new Set([id, ...this.#waiting[pending.policy]]);
  }

  /**
   * Keep a request that failed back until `requeue`. Other requests are sent meanwhile, but no other post.
   *
   * @param {string} id
   * @returns {number} milliseconds to wait before `requeue`
   */
  hold(id) {
    this.#inFlight.delete(id);
    this.#held.add(id);
    return this.#pending.get(id)?.backoff.nextPause() ?? 0;
  }

  /** Let `next` return all requests in flight again. Fail those that may be sent only once. @param {string} why */
  requeueAll(why) {
    for (const { policy, command } of this.inFlight) {
      if (policy === "once") this.refused(command.id, new Unanswered(why));
    }
    for (const id of [...this.#inFlight, ...this.#held].reverse()) this.requeue(id);
  }

  /** Fail a request that is longer than the server accepts. @param {string} id */
  failTooBig(id) {
    this.refused(id, tooBig());
  }

  /** Fail all requests. @param {Error} error */
  failAll(error) {
    for (const id of [...this.#pending.keys()]) this.refused(id, error);
  }

  /** @param {string} id */
  #end(id) {
    const pending = this.#pending.get(id);
    if (pending !== undefined) this.#waiting[pending.policy].delete(id);
    this.#pending.delete(id);
    this.#inFlight.delete(id);
    this.#held.delete(id);
    return pending;
  }
}

/** @param {Set<string>} ids @param {number} count */
function first(ids, count) {
  const found = [];
  for (const id of ids) {
    if (found.length >= count) break;
    found.push(id);
  }
  return found;
}
