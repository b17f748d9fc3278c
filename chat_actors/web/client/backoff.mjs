/** When a client reconnects, and when it gives up. Pure: the randomness is passed in. */

/** After these close codes a reconnect would end the same way. 1008 is missing: servers also use it for unanswered pings. */
const PERMANENT = new Set([1002, 1003, 1007, 1009, 4001, 4003]);

const SERVICE_RESTART = 1012;
const TOO_SLOW = 4008;

/**
 * Exponential backoff with full jitter: each pause is random below a bound that doubles with each failure in a row. So
 * the clients of a restarted server do not all reconnect at once ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export class Backoff {
  #random;
  #first;
  #longest;
  #failures = 0;

  /**
   * @param {() => number} random returns a number from 0 to 1
   * @param {{first?: number, longest?: number}} [bounds] upper bounds in milliseconds: of the first pause, and of every pause
   */
  constructor(random, { first = 500, longest = 30_000 } = {}) {
    this.#random = random;
    this.#first = first;
    this.#longest = longest;
  }

  /** Reset after a successful login: the next failure counts as the first. */
  succeeded() {
    this.#failures = 0;
  }

  /** Count one more failure. @returns {number} milliseconds to wait before the next attempt */
  nextPause() {
    const bound = Math.min(this.#longest, this.#first * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return this.#random() * bound;
  }

  /**
   * The pause after a connection ended with this close code.
   *
   * The first time, a pause that the server names (close code 1012) is used as it is. After an eviction (4008) the first
   * reconnect is immediate: the missed messages are waiting, and their number only grows.
   *
   * @param {number | undefined} code the close code; undefined if the connection ended without a Close
   * @param {string} reason
   * @returns {number | null} milliseconds; null: do not reconnect
   */
  pauseAfter(code, reason) {
    if (code !== undefined && PERMANENT.has(code)) return null;
    const isFirst = this.#failures === 0;
    const pause = this.nextPause();
    const named = code === SERVICE_RESTART ? /^retry after (\d+)$/.exec(reason) : null;
    if (isFirst && named) return Math.min(Number(named[1]), this.#longest);
    return isFirst && code === TOO_SLOW ? 0 : pause;
  }
}
