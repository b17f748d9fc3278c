/** A room that one is in: one unbroken conversation over a line that breaks. */

import { Conversation } from "./conversation.mjs";
import { fromBase64 } from "./encoding.mjs";
import { ConnectionLost, NobodyReads, Refused } from "./errors.mjs";

/** Milliseconds for a connection, the login and the way into the room. */
const ENTER_WITHIN = 30_000;

/** Milliseconds without a word from the server until it is asked whether it is there. */
const QUIET = 25_000;

/** Milliseconds for its answer: then the connection is given up, however alive it looks. */
const PONG_WITHIN = 10_000;

/** Events that may wait to be read. Beyond, the connection is closed, and made again once they have been read. */
const MOST_EVENTS = 5_000;

/** Milliseconds in which they are to be read, if somebody waits for an answer that comes after them. */
const READ_WITHIN = 10_000;

const TOO_BIG = 1009;

/** Why, no script is told. */
const NOT_OPENED = "no connection could be made: is the server up, its address right and its certificate trusted?";

/**
 * @typedef {import("./backoff.mjs").Backoff} Backoff
 * @typedef {import("./conversation.mjs").ChatEvent} ChatEvent
 * @typedef {import("./conversation.mjs").ServerMessage} ServerMessage
 * @typedef {import("./identity.mjs").Identity} Identity
 */

/**
 * `for await (const event of room)`: each message once and in order, or a `gap`; who comes and goes; `reconnecting` and
 * `reconnected` in between. It ends with `ConnectionLost` or `Refused`, or without an error after `leave()`.
 *
 * Whoever does not read is not read for: after 5,000 events the room is left until they have been read, and what was
 * said meanwhile is caught up with.
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
  /** @type {(() => void)[]} who waits for events */
  #readers = [];
  /** @type {Error | null} */
  #end = null;
  #hasLeft = false;

  /**
   * @param {string} url of the WebSocket
   * @param {Identity} identity
   * @param {string | null} roomId null: only log in
   * @param {Backoff} backoff
   * @param {{since?: number, listen?: boolean}} [options] as of `Chat.room`
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

  // -- what one may do ------------------------------------------------------------------------------------------------

  /**
   * Say something to the room: once, whatever happens to the connection. What is said keeps its order.
   *
   * @param {string} content
   * @returns {Promise<ServerMessage>} `accepted` with its `seq`, when the server has stored it. It also comes back
   *   among the events, like everybody else's. Throws `NotSent`, `TooMuchUnsent`, `ConnectionLost`, `Refused`,
   *   `NobodyReads`.
   */
  async say(content) {
    return this.#sending(() => this.#conversation.post(content));
  }

  /**
   * Some messages of this room, oldest first: the newest, or the newest before, or the oldest after a number.
   *
   * @param {{before?: number, after?: number, limit?: number}} [page] at most 200
   * @returns {Promise<ServerMessage>} `history`, with `messages` and `more`
   */
  async history(page = {}) {
    return this.#sending(() => this.#conversation.lookUp({ type: "history", roomId: this.id, ...page }));
  }

  /** Who is in this room. @returns {Promise<ServerMessage>} `members`, with `members` and `count` */
  async members() {
    return this.#sending(() => this.#conversation.lookUp({ type: "members", roomId: this.id }));
  }

  /**
   * Any command that has an answer, such as those of an extension: `room.ask({ type: "roll", sides: 6 })`. It is sent at
   * most once; if the connection breaks before the answer, it fails with `Unanswered`.
   *
   * @param {Record<string, unknown> & {type: string}} command
   */
  async ask(command) {
    return this.#sending(() => this.#conversation.ask(command));
  }

  /**
   * A command that has no answer, such as `typing`: sent now, or never.
   *
   * @param {Record<string, unknown> & {type: string}} command
   * @returns {boolean} whether it could be sent
   */
  tell(command) {
    const isSent = this.#conversation.tell(command);
    this.#flush();
    return isSent;
  }

  /** Leave, and hear nothing any more. What has not been sent is not. */
  leave() {
    this.#hasLeft = true;
    this.#finish(new ConnectionLost("the room was left"));
  }

  /** If a connection is waited for, try at once: the network may be back. */
  hurry() {
    if (this.#socket === null && !this.#isPaused && this.#end === null) this.#open();
  }

  /** Whether the user is in the room at this moment. */
  get isInside() {
    return this.#conversation.isInside;
  }

  /** How many requests have not been answered. */
  get unsent() {
    return this.#conversation.unsent;
  }

  /** @param {() => Promise<ServerMessage>} ask */
  #sending(ask) {
    if (this.#end !== null) throw this.#end;
    const answer = ask();
    this.#flush();
    if (this.#isPaused) this.#awaitReader();
    return answer;
  }

  // -- what one hears -------------------------------------------------------------------------------------------------

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
  #tell(...events) {
    this.#events.push(...(this.#listens ? events : events.filter(({ type }) => type === "entered")));
    for (const wake of this.#readers.splice(0)) wake();
  }

  // -- the connections ------------------------------------------------------------------------------------------------

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
    this.#timer = setTimeout(() => this.#lose("no answer from the server"), ENTER_WITHIN);
    let problem = NOT_OPENED;
    socket.onopen = () => {
      problem = "the connection broke";
      this.#conversation.connected();
      this.#flush();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#take(data);
    };
    // In Node 20 nothing else says that there was no connection; a browser says next how it was closed.
    socket.onerror = () => setTimeout(() => socket === this.#socket && this.#lose(problem), 0);
    socket.onclose = ({ code, reason }) => {
      // 1005 and 1006 are no codes of the server's: there was a Close without one, or none.
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
      this.#finish(error instanceof Refused ? error : new ConnectionLost(`the server does not speak our protocol: ${error}`));
      return;
    }
    if (this.#conversation.toSign !== null) this.#sign(this.#conversation.toSign);
    if (events.length > 0) this.#tell(...events);
    if (this.#conversation.isBroken) {
      this.#lose("the room is not to be had just now");
      return;
    }
    if (this.#events.length >= MOST_EVENTS) {
      this.#isPaused = true;
      this.#drop();
      this.#awaitReader();
      return;
    }
    this.#flush();
    if (this.#conversation.isInside) {
      if (!wasInside) this.#backoff.succeeded();
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#ping(), QUIET);
      if (this.#conversation.wantsRetry && this.#retryTimer === undefined) this.#retryLater();
    }
  }

  /** What is asked is answered behind all that waits to be read: whoever asked is told if that is not read. */
  #awaitReader() {
    if (this.#conversation.unsent === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#conversation.giveUp(new NobodyReads(this.#events.length));
    }, READ_WITHIN);
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
    this.#timer = setTimeout(() => this.#lose("the connection has gone silent"), PONG_WITHIN);
  }

  /** @param {string} challenge */
  async #sign(challenge) {
    const socket = this.#socket;
    let signature;
    try {
      signature = await this.#identity.sign(fromBase64(challenge));
    } catch (error) {
      this.#finish(new ConnectionLost(`the server's challenge can not be signed: ${error}`));
      return;
    }
    if (socket !== this.#socket) return; // another connection, which has a challenge of its own
    this.#conversation.signed(signature);
    this.#flush();
  }

  #flush() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (const text of this.#conversation.toSend()) this.#socket.send(text);
  }

  /** Forget the connection, without waiting for its end: a dead line may take minutes. */
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
   * The connection is lost: try again later, or never.
   *
   * @param {string} why
   * @param {number} [code]
   * @param {string} [reason]
   */
  #lose(why, code, reason = "") {
    const isRefused = code === TOO_BIG && this.#conversation.refuseHead("The message is longer than the server takes.");
    this.#drop();
    const pause = isRefused ? 0 : this.#backoff.pauseAfter(code, reason);
    if (pause === null) {
      this.#finish(new ConnectionLost(`the server closed the connection: ${why}`, code));
      return;
    }
    this.#tell({ type: "reconnecting", milliseconds: pause, why });
    this.#timer = setTimeout(() => this.#open(), pause);
  }

  /** @param {Error} error */
  #finish(error) {
    if (this.#end !== null) return;
    this.#end = error;
    this.#drop();
    this.#conversation.giveUp(error);
    this.#tell();
  }
}
