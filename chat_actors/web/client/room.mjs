/** A room that the user is in: its commands, and its events for one reader. */

/**
 * @typedef {import("./connection.mjs").Connection} Connection
 * @typedef {import("./event-queue.mjs").ChatEvent} ChatEvent
 * @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage
 * @typedef {import("./requests.mjs").Command} Command
 * @typedef {import("./room-conversation.mjs").RoomConversation} RoomConversation
 */

/**
 * `for await (const event of room)` yields each message once and in order, or a `gap`; `user_joined` and `user_left`;
 * `reconnecting` and `reconnected` in between. It throws `ConnectionLost` or `AccessRefused`, and ends without an error after
 * `leave()`.
 *
 * At 5,000 unread events the client leaves the room on the server. It rejoins when they have been read, and the server then
 * replays the messages in between. Other rooms, and the commands of this one, go on.
 */
export class Room {
  #connection;
  #core;

  /**
   * @param {Connection} connection
   * @param {RoomConversation} core
   */
  constructor(connection, core) {
    this.#connection = connection;
    this.#core = core;
  }

  /** The name of the room. */
  get id() {
    return this.#core.id;
  }

  // -- commands -------------------------------------------------------------------------------------------------------

  /**
   * Post a message. It is stored once, over any number of connections, and posts keep their order.
   *
   * @param {string} content
   * @returns {Promise<ServerMessage>} `accepted` with its `seq`, when the server has stored the message. The message is
   *   also delivered among the events, like those of other users.
   * @throws {CommandRefused} if the server refuses the message
   * @throws {TooMuchUnsent} if 1,000 requests of this room wait for an answer
   * @throws {ConnectionLost | AccessRefused} if the room has ended
   */
  async say(content) {
    return this.#request(() => this.#core.post(content));
  }

  /**
   * Read a page of stored messages, oldest first. Throws as `say`.
   *
   * @param {{before?: number, after?: number, limit?: number}} [page] the newest messages; with `before`, the newest
   *   below that `seq`; with `after`, the oldest above it. At most `limit`, and 200.
   * @returns {Promise<ServerMessage>} `history`, with `messages` and `more`
   */
  async history(page = {}) {
    return this.#request(() => this.#core.query({ type: "history", ...page }));
  }

  /** List the users in this room. Throws as `say`. @returns {Promise<ServerMessage>} `members`, with `members` and `count` */
  async members() {
    return this.#request(() => this.#core.query({ type: "members" }));
  }

  /**
   * Send any command that has an answer, such as an extension's: `room.ask({ type: "roll", sides: 6 })`. It is about this
   * room unless it has another `roomId`. It is sent at most once. Throws as `say`.
   *
   * @param {Command} command
   * @returns {Promise<ServerMessage>} the answer
   * @throws {Unanswered} if the connection ends, or the room fails, before the answer
   */
  async ask(command) {
    return this.#request(() => this.#core.ask(command));
  }

  /**
   * Send a command that has no answer, such as `typing`. It is sent now or not at all.
   *
   * @param {Command} command as for `ask`
   * @returns {boolean} whether it was sent. A refusal of the server is an `error` among the events.
   * @throws {CommandRefused} if it is longer than the server accepts
   */
  tell(command) {
    const isSent = this.#connection.conversation.tell(this.#core, command);
    this.#connection.flush();
    return isSent;
  }

  /** Leave the room. Messages that are not yet sent are dropped. */
  leave() {
    this.#connection.conversation.leave(this.#core);
    this.#connection.release();
  }

  /** Reconnect, or rejoin this room, at once if the next attempt waits: the network may be back. */
  hurry() {
    this.#core.hurry();
    this.#connection.connect();
  }

  /** Whether the user is in the room now and receives its messages. */
  get isInside() {
    return this.#core.isInside;
  }

  /** The number of requests of this room without an answer. */
  get unanswered() {
    return this.#core.requests.size;
  }

  /** @param {() => Promise<ServerMessage>} ask */
  #request(ask) {
    if (this.#core.end !== null) throw this.#core.end;
    const answer = ask();
    this.#connection.flush();
    return answer;
  }

  // -- events ---------------------------------------------------------------------------------------------------------

  /** The next event, or null after `leave()`. @returns {Promise<ChatEvent | null>} */
  async receive() {
    const event = await this.#core.events.next();
    if (this.#core.caughtUp()) this.#connection.flush();
    return event;
  }

  async *[Symbol.asyncIterator]() {
    for (let event = await this.receive(); event !== null; event = await this.receive()) yield event;
  }
}
