/** A room over a connection that may break: sockets, timers and the queue of unread events around a `Conversation`. */

import { Conversation } from "./conversation.mjs";
import { fromBase64 } from "./encoding.mjs";
import { AccessRefused, ConnectionLost, EventsUnread } from "./errors.mjs";

/** Milliseconds for the connection, the login and the join together. */
const JOIN_TIMEOUT = 30_000;

/** Milliseconds without a message from the server before the client pings it. */
const PING_AFTER = 25_000;

/** Milliseconds for the answer to a ping. After that the client drops the connection. */
const PONG_TIMEOUT = 10_000;

/** The most unread events. At the limit the client disconnects; it reconnects when all have been read. */
const MAX_EVENTS = 5_000;

/** Milliseconds in which the events must be read if a request waits for an answer behind them. */
const READ_TIMEOUT = 10_000;

const TOO_BIG = 1009;

/** Browsers do not tell scripts the cause. */
const NOT_OPENED = "no connection could be made: is the server up, its address right and its certificate trusted?";

/**
 * @typedef {import("./backoff.mjs").Backoff} Backoff
 * @typedef {import("./conversation.mjs").ChatEvent} ChatEvent
 * @typedef {import("./conversation.mjs").ServerMessage} ServerMessage
 * @typedef {import("./identity.mjs").Identity} Identity
 */

/**
 * `for await (const event of room)` yields each message once and in order, or a `gap`; `user_joined` and `user_left`;
 * `reconnecting` and `reconnected` in between. It throws `ConnectionLost` or `AccessRefused`, and ends without an error after
 * `leave()`.
 *
 * At 5,000 unread events the client disconnects. It rejoins when they have been read, and the server then replays the
 * messages in between.
 */
export class Room {
  /** @type {string} */
  id;
  #url;
  #identity;
  #conversation;
  #backoff;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retryTimer;
  #isPaused = false;
  #listens;
  /** @type {ChatEvent[]} */
  #events = [];
  /** @type {(() => void)[]} wake the callers of `receive` that wait */
  #readers = [];
  /** @type {Error | null} */
  #end = null;
  #hasLeft = false;

  /**
   * @param {string} url the WebSocket URL
   * @param {Identity} identity
   * @param {string | null} roomId null: log in only
   * @param {Backoff} backoff
   * @param {{since?: number, listen?: boolean}} [options] as for `Chat.room`
   */
  constructor(url, identity, roomId, backoff, { since, listen = true } = {}) {
    this.id = roomId ?? "";
    this.#url = url;
    this.#identity = identity;
    const newId = () => crypto.randomUUID();
    this.#conversation = new Conversation(identity.userId, identity.publicPem, roomId, newId, since);
    this.#backoff = backoff;
    this.#listens = listen;
    this.#open();
  }

  // -- commands -------------------------------------------------------------------------------------------------------

  /**
   * Post a message. It is stored once, over any number of connections, and posts keep their order.
   *
   * @param {string} content
   * @returns {Promise<ServerMessage>} `accepted` with its `seq`, when the server has stored the message. The message is
   *   also delivered among the events, like those of other users.
   * @throws {CommandRefused} if the server refuses the message
   * @throws {TooMuchUnsent} if 1,000 requests wait for an answer
   * @throws {EventsUnread} if the answer is behind events that are not read
   * @throws {ConnectionLost | AccessRefused} if the room has ended
   */
  async say(content) {
    return this.#sending(() => this.#conversation.post(content));
  }

  /**
   * Read a page of stored messages, oldest first. Throws as `say`.
   *
   * @param {{before?: number, after?: number, limit?: number}} [page] the newest messages; with `before`, the newest
   *   below that `seq`; with `after`, the oldest above it. At most `limit`, and 200.
   * @returns {Promise<ServerMessage>} `history`, with `messages` and `more`
   */
  async history(page = {}) {
    return this.#sending(() => this.#conversation.query({ type: "history", roomId: this.id, ...page }));
  }

  /** List the users in this room. Throws as `say`. @returns {Promise<ServerMessage>} `members`, with `members` and `count` */
  async members() {
    return this.#sending(() => this.#conversation.query({ type: "members", roomId: this.id }));
  }

  /**
   * Send any command that has an answer, such as an extension's: `room.ask({ type: "roll", sides: 6 })`. It is sent at
   * most once. Throws as `say`.
   *
   * @param {Record<string, unknown> & {type: string}} command
   * @returns {Promise<ServerMessage>} the answer
   * @throws {Unanswered} if the connection ends before the answer
   */
  async ask(command) {
    return this.#sending(() => this.#conversation.ask(command));
  }

  /**
   * Send a command that has no answer, such as `typing`. It is sent now or not at all.
   *
   * @param {Record<string, unknown> & {type: string}} command
   * @returns {boolean} whether it was sent
   */
  tell(command) {
    const isSent = this.#conversation.tell(command);
    this.#flush();
    return isSent;
  }

  /** Leave the room and disconnect. Messages that are not yet sent are dropped. */
  leave() {
    this.#hasLeft = true;
    this.#finish(new ConnectionLost("the room was left"));
  }

  /** Reconnect at once if the room waits for its next attempt: the network may be back. */
  hurry() {
    if (this.#socket === null && !this.#isPaused && this.#end === null) this.#open();
  }

  /** Whether the user is in the room now. */
  get isInside() {
    return this.#conversation.isInside;
  }

  /** The number of requests without an answer. */
  get unanswered() {
    return this.#conversation.unanswered;
  }

  /** @param {() => Promise<ServerMessage>} ask */
  #sending(ask) {
    if (this.#end !== null) throw this.#end;
    const answer = ask();
    this.#flush();
    if (this.#isPaused) this.#failUnlessRead();
    return answer;
  }

  // -- events ---------------------------------------------------------------------------------------------------------

  /** The next event, or null after `leave()`. @returns {Promise<ChatEvent | null>} */
  async receive() {
    while (this.#events.length === 0) {
      if (this.#hasLeft) return null;
      if (this.#end !== null) throw this.#end;
      await new Promise((resolve) => this.#readers.push(() => resolve(undefined)));
    }
    const event = this.#events.shift() ?? null;
    if (this.#isPaused && this.#events.length === 0 && this.#end === null) {
      this.#isPaused = false;
      this.#open();
    }
    return event;
  }

  async *[Symbol.asyncIterator]() {
    for (let event = await this.receive(); event !== null; event = await this.receive()) yield event;
  }

  /** @param {ChatEvent[]} events */
  #enqueue(...events) {
    this.#events.push(...(this.#listens ? events : events.filter(({ type }) => type === "entered")));
    for (const wake of this.#readers.splice(0)) wake();
  }

  // -- connections ----------------------------------------------------------------------------------------------------

  #open() {
    clearTimeout(this.#timer);
    let socket;
    try {
      socket = new WebSocket(this.#url);
    } catch (error) {
      this.#finish(new ConnectionLost(`${this.#url}: ${error instanceof Error ? error.message : error}`));
      return;
    }
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#lose("no answer from the server"), JOIN_TIMEOUT);
    let problem = NOT_OPENED;
    socket.onopen = () => {
      problem = "the connection broke";
      this.#conversation.connected();
      this.#flush();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#take(data);
    };
    // Node 20 reports a failed connection only here; browsers fire `close` next, with the close code.
    socket.onerror = () => setTimeout(() => socket === this.#socket && this.#lose(problem), 0);
    socket.onclose = ({ code, reason }) => {
      // 1005 and 1006 never come from the server: they mean a Close without a code, and no Close (RFC 6455, section 7.4.1).
      this.#lose(reason || problem, code === 1005 || code === 1006 ? undefined : code, reason);
    };
  }

  /** @param {string} text */
  #take(text) {
    const wasInside = this.#conversation.isInside;
    let events;
    try {
      events = this.#conversation.receive(text);
    } catch (error) {
      this.#finish(error instanceof AccessRefused ? error : new ConnectionLost(`the server sent what this protocol does not have: ${error}`));
      return;
    }
    if (this.#conversation.toSign !== null) this.#sign(this.#conversation.toSign);
    if (events.length > 0) this.#enqueue(...events);
    if (this.#conversation.isBroken) {
      this.#lose("the room is not available now");
      return;
    }
    if (this.#events.length >= MAX_EVENTS) {
      this.#isPaused = true;
      this.#drop();
      this.#failUnlessRead();
      return;
    }
    this.#flush();
    if (this.#conversation.isInside) {
      if (!wasInside) this.#backoff.succeeded();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ping(), PING_AFTER);
      if (this.#conversation.needsRetry && this.#retryTimer === undefined) this.#retryLater();
    }
  }

  /** Answers come behind the unread events. Fail the requests if the events are not read in time. */
  #failUnlessRead() {
    if (this.#conversation.unanswered === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#conversation.failAll(new EventsUnread(this.#events.length));
    }, READ_TIMEOUT);
  }

  #retryLater() {
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = undefined;
      this.#conversation.retry();
      this.#flush();
    }, this.#backoff.nextPause());
  }

  #ping() {
    this.#socket?.send('{"type":"ping","id":"are you there"}');
    this.#timer = setTimeout(() => this.#lose("the server does not answer any more"), PONG_TIMEOUT);
  }

  /** @param {string} challenge */
  async #sign(challenge) {
    const socket = this.#socket;
    let signature;
    try {
      signature = await this.#identity.sign(fromBase64(challenge));
    } catch (error) {
      this.#finish(new ConnectionLost(`the server's challenge cannot be signed: ${error}`));
      return;
    }
    if (socket !== this.#socket) return; // this is another connection, with its own challenge
    this.#conversation.signed(signature);
    this.#flush();
  }

  #flush() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (const text of this.#conversation.toSend()) this.#socket.send(text);
  }

  /** Abandon the connection without waiting for its end, which may take minutes on a dead network path. */
  #drop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    clearTimeout(this.#retryTimer);
    this.#retryTimer = undefined;
    if (this.#socket !== null) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
      this.#socket.close();
      this.#socket = null;
    }
    this.#conversation.disconnected();
  }

  /**
   * Handle a lost connection: reconnect after a pause, or end the room.
   *
   * @param {string} why
   * @param {number} [code] the close code
   * @param {string} [reason]
   */
  #lose(why, code, reason = "") {
    const isRefused = code === TOO_BIG && this.#conversation.failInFlight("The message is longer than the server accepts.");
    this.#drop();
    const pause = isRefused ? 0 : this.#backoff.pauseAfter(code, reason);
    if (pause === null) {
      this.#finish(new ConnectionLost(`the server closed the connection: ${why}`, code));
      return;
    }
    this.#enqueue({ type: "reconnecting", milliseconds: pause, why });
    this.#timer = setTimeout(() => this.#open(), pause);
  }

  /** @param {Error} error */
  #finish(error) {
    if (this.#end !== null) return;
    this.#end = error;
    this.#drop();
    this.#conversation.failAll(error);
    this.#enqueue();
  }
}
