/** When to come back to a server, and when not to. Pure: the randomness is passed in. */

/** The client would do the same again and be closed again. 1008 is not among them: it is also for unanswered pings. */
const HOPELESS = new Set([1002, 1003, 1007, 1009, 4001, 4003]);

const SERVICE_RESTART = 1012;
const TOO_SLOW = 4008;

/**
 * Pauses that grow with each failure in a row, each chosen at random below its bound ("full jitter"), so that all
 * clients of a server that comes back do not come at once ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export class Backoff {
  #random;
  #first;
  #longest;
  #failures = 0;

  /**
   * @param {() => number} random a number from 0 to 1
   * @param {{first?: number, longest?: number}} [bounds] of the first pause and of all, in milliseconds
   */
  constructor(random, { first = 500, longest = 30_000 } = {}) {
    this.#random = random;
    this.#first = first;
    this.#longest = longest;
  }

  /** Begin anew. */
  succeeded() {
    this.#failures = 0;
  }

  /** Milliseconds to wait after one more failure. */
  nextPause() {
    const bound = Math.min(this.#longest, this.#first * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return this.#random() * bound;
  }

  /**
   * Milliseconds to wait after a connection has ended with this close code; null: for ever.
   *
   * A server that names a time is obeyed, the first time. To one that says that we were too slow we come back at once:
   * what it has for us is waiting, and nothing is gained by letting it grow.
   *
   * @param {number | undefined} code
   * @param {string} reason
   * @returns {number | null}
   */
  pauseAfter(code, reason) {
    if (code !== undefined && HOPELESS.has(code)) return null;
    const isFirst = this.#failures === 0;
    const pause = this.nextPause();
    const named = code === SERVICE_RESTART ? /^retry after (\d+)$/.exec(reason) : null;
    if (isFirst && named) return Math.min(Number(named[1]), this.#longest);
    return isFirst && code === TOO_SLOW ? 0 : pause;
  }
}
