/** The rooms that were left on this connection and that the server may still have it in. No I/O. */

import { isTransient } from "./errors.mjs";

/**
 * @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage
 * @typedef {import("./requests.mjs").Command & {id: string, roomId: string}} Leave
 */

/** Each `leave` is repeated until the server confirms it. In a room that is open again, the join has replaced it. */
export class Departures {
  /** By room. @type {Map<string, Leave>} */
  #waiting = new Map();
  /** Not answered, or refused for now; by id. @type {Map<string, Leave>} */
  #inFlight = new Map();
  #isOpen;

  /** @param {(roomId: string) => boolean} isOpen whether a room is open */
  constructor(isOpen) {
    this.#isOpen = isOpen;
  }

  /** Whether the server has not confirmed all of them. */
  get isPending() {
    return this.#inFlight.size > 0 || this.#due.length > 0;
  }

  /** @param {Leave} leave */
  add(leave) {
    this.#waiting.set(leave.roomId, leave);
  }

  /** Take the commands to send now. */
  next() {
    const due = this.#due;
    for (const leave of due) {
      this.#waiting.delete(leave.roomId);
      this.#inFlight.set(leave.id, leave);
    }
    return due;
  }

  get #due() {
    return [...this.#waiting.values()].filter(({ roomId }) => !this.#isOpen(roomId));
  }

  /** Whether a message with this id answers one of them. @param {string} id */
  has(id) {
    return this.#inFlight.has(id);
  }

  /** Handle an answer. @param {ServerMessage & {id: string}} message @returns {boolean} whether to call `requeue` later */
  answered({ type, id, code }) {
    const isRefused = type === "error" && isTransient(code);
    if (!isRefused) this.#inFlight.delete(id);
    return isRefused;
  }

  /** Let `next` return this command again. @param {string} id */
  requeue(id) {
    const leave = this.#inFlight.get(id);
    this.#inFlight.delete(id);
    if (leave !== undefined) this.add(leave);
  }

  /** The connection has ended, and its memberships with it. */
  clear() {
    this.#waiting.clear();
    this.#inFlight.clear();
  }
}
