/** Whether the server has this connection in one room, as far as its answers tell. No I/O. */

export class Membership {
  /** The last `join`. @type {string | null} */
  joinId = null;
  /** The last `leave`, until its answer or a newer `join`. @type {string | null} */
  leaveId = null;
  /** Whether a `leave` must be sent. */
  mustLeave = false;
  /** Whether the server may have this connection in the room. */
  isPossible = false;
  /** `isPossible` before the last `join`. */
  #wasPossible = false;

  /** Whether the server has not confirmed a `leave`. */
  get isLeaving() {
    return this.mustLeave || this.leaveId !== null;
  }

  /** @param {string} id of the `join` that is sent */
  join(id) {
    this.joinId = id;
    this.leaveId = null; // its answer is out of date now
    this.#wasPossible = this.isPossible;
    this.isPossible = true;
  }

  /** The join was refused for now: that ends no membership. */
  joinRefused() {
    this.isPossible = this.#wasPossible;
  }

  /** @param {string} id of the `leave` that is sent */
  leave(id) {
    this.leaveId = id;
    this.mustLeave = false;
  }

  /** @param {boolean} isConfirmed whether the connection is out of the room */
  leaveAnswered(isConfirmed) {
    this.leaveId = null;
    if (isConfirmed) this.isPossible = false;
  }

  /** The connection was removed. @param {boolean} isJoining whether a join is in flight, which is newer */
  removed(isJoining) {
    this.#wasPossible = false;
    this.isPossible = isJoining;
  }

  /** The connection has ended. */
  disconnected() {
    this.joinId = this.leaveId = null;
    this.mustLeave = this.isPossible = false;
  }
}
