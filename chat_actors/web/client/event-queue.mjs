/** The events that a program has not read yet. No I/O. */

/**
 * A message of the server as it was received: `type` and its fields. Messages of extensions included.
 *
 * @typedef {{type: string, id?: string, [field: string]: any}} ServerMessage
 *
 * The client's own events:
 * - `entered`: the user is in the room for the first time. `seq`: the number of the last message so far; `missed`: how
 *   many messages after `since` come next; `state`: the state that the room kind sent.
 * - `reconnecting`: the user is not in the room; the next attempt is in `milliseconds`. `why` is a text for people.
 * - `reconnected`: the user is in the room again. `missed`: how many messages were missed; those still kept come next.
 * - `gap`: messages are missing here. `lost`: how many; null if unknown.
 *
 * @typedef {{type: "entered", seq: number, missed: number, state?: any} |
 *   {type: "reconnecting", milliseconds: number, why: string} |
 *   {type: "reconnected", missed: number} |
 *   {type: "gap", lost: number | null}} OwnEvent
 *
 * @typedef {ServerMessage | OwnEvent} ChatEvent
 */

export class EventQueue {
  /** @type {ChatEvent[]} */
  #events = [];
  /** @type {(() => void)[]} wake the callers of `next` that wait */
  #readers = [];
  /** @type {{error: Error | null} | null} */
  #end = null;

  /** The number of unread events. */
  get length() {
    return this.#events.length;
  }

  /** The event that will be read last. */
  get last() {
    return this.#events.at(-1);
  }

  /** Add an event. Of consecutive unread `reconnecting`, only the last is kept. @param {ChatEvent} event */
  push(event) {
    if (event.type === "reconnecting" && this.last?.type === "reconnecting") this.#events.pop();
    this.#events.push(event);
    this.#wake();
  }

  /** Add no more events. @param {Error | null} error what `next` throws after the last event; null: nothing */
  end(error) {
    this.#end ??= { error };
    this.#wake();
  }

  /** Wait for the next event. @returns {Promise<ChatEvent | null>} null at the end */
  async next() {
    while (this.#events.length === 0) {
      if (this.#end?.error) throw this.#end.error;
      if (this.#end !== null) return null;
      await new Promise((resolve) => this.#readers.push(() => resolve(undefined)));
    }
    return this.#events.shift() ?? null;
  }

  #wake() {
    for (const wake of this.#readers.splice(0)) wake();
  }
}

/** Drops the newest events at a limit, and counts them in a `gap`. */
export class BoundedEventQueue extends EventQueue {
  #most;

  /** @param {number} most the most unread events */
  constructor(most) {
    super();
    this.#most = most;
  }

  /** @param {ChatEvent} event */
  push(event) {
    const { last, length } = this;
    if (length < this.#most) super.push(event);
    else if (last?.type === "gap") last.lost += 1;
    else super.push({ type: "gap", lost: 1 });
  }
}
