/** The connection of a user to a server, which may break: sockets and timers around a `Conversation`. */

import { Backoff } from "./backoff.mjs";
import { Conversation } from "./conversation.mjs";
import { fromBase64 } from "./encoding.mjs";
import { AccessRefused, ConnectionLost } from "./errors.mjs";

/** Milliseconds for the connection and the login together. */
const LOGIN_TIMEOUT = 30_000;

/** Milliseconds without a message from the server before the client pings it. */
const PING_AFTER = 25_000;

/** Milliseconds for the answer to a ping. After that the client drops the connection. */
const PONG_TIMEOUT = 10_000;

const TOO_BIG = 1009;

/** Browsers do not tell scripts the cause. */
const NOT_OPENED = "no connection could be made: is the server up, its address right and its certificate trusted?";

/**
 * @typedef {import("./identity.mjs").Identity} Identity
 * @typedef {{resolve: () => void, reject: (error: Error) => void}} Attempt
 */

/** One socket at a time, for all rooms of a chat. It is restored until it ends for good; then all rooms end. */
export class Connection {
  conversation;
  #url;
  #identity;
  #backoff;
  /** @type {WebSocket | null} */
  #socket = null;
  /** Of the login, the ping or the next attempt. @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Of the conversation's actions. @type {Set<ReturnType<typeof setTimeout>>} */
  #timers = new Set();
  /** Callers that wait for the login. @type {Attempt[]} */
  #attempts = [];
  /** Whether the current socket has been open. */
  #wasOpened = false;
  #wasReady = false;
  #hasEnded = false;

  /**
   * @param {string} url the WebSocket URL
   * @param {Identity} identity
   * @param {() => number} random
   */
  constructor(url, identity, random) {
    this.#url = url;
    this.#identity = identity;
    this.#backoff = new Backoff(random);
    this.conversation = new Conversation(identity.userId, identity.publicPem, { random });
  }

  /** Whether the client makes no more attempts. */
  get hasEnded() {
    return this.#hasEnded;
  }

  /** Connect at once if the next attempt waits, and send what waits. */
  connect() {
    if (this.#hasEnded) return;
    if (this.#socket === null && this.#isNeeded) this.#open();
    this.flush();
  }

  /** Wait for the login. Rejects if this attempt fails. @returns {Promise<void>} */
  ready() {
    if (this.conversation.isReady) return Promise.resolve();
    const attempt = new Promise((resolve, reject) => this.#attempts.push({ resolve: () => resolve(undefined), reject }));
    this.connect();
    return attempt;
  }

  /** Send what the conversation has to send, and start its timers. */
  flush() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      for (const text of this.conversation.toSend()) this.#socket.send(text);
    }
    for (const scheduled of this.conversation.toSchedule()) {
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        scheduled.act();
        this.flush();
      }, scheduled.milliseconds);
      this.#timers.add(timer);
      scheduled.cancelled = () => {
        clearTimeout(timer);
        this.#timers.delete(timer);
      };
    }
  }

  /** A room was left. Make no more attempts for now if there was no login yet and no room is left to need one. */
  release() {
    this.flush();
    if (!this.#isNeeded) this.#drop();
  }

  /** Disconnect for good. */
  close() {
    this.#finish(null);
  }

  /** Whether there has been a login, or something waits for the first. */
  get #isNeeded() {
    return this.#wasReady || this.#attempts.length > 0 || this.conversation.roomCount > 0;
  }

  // -- sockets --------------------------------------------------------------------------------------------------------

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
    this.#wasOpened = false;
    this.#timer = setTimeout(() => this.#lose("no answer from the server"), LOGIN_TIMEOUT);
    const problem = () => (this.#wasOpened ? "the connection broke" : NOT_OPENED);
    socket.onopen = () => {
      this.#wasOpened = true;
      this.conversation.connected();
      this.flush();
    };
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#take(data);
    };
    // Node 20 reports a failed connection only here; browsers fire `close` next, with the close code.
    socket.onerror = () => setTimeout(() => socket === this.#socket && this.#lose(problem()), 0);
    socket.onclose = ({ code, reason }) => {
      // 1005 and 1006 never come from the server: they mean a Close without a code, and no Close (RFC 6455, section 7.4.1).
      this.#lose(reason || problem(), code === 1005 || code === 1006 ? undefined : code, reason);
    };
  }

  /** @param {string} text */
  #take(text) {
    const { conversation } = this;
    const challenge = conversation.toSign;
    try {
      conversation.receive(text);
    } catch (error) {
      const isRefused = error instanceof AccessRefused || error instanceof ConnectionLost;
      this.#finish(isRefused ? error : new ConnectionLost(`the server sent what this protocol does not have: ${error}`));
      return;
    }
    if (conversation.isBroken) {
      this.#lose("the server cannot log the user in now");
      return;
    }
    if (conversation.toSign !== null && conversation.toSign !== challenge) this.#sign(conversation.toSign);
    this.flush();
    if (conversation.isUseful) this.#backoff.succeeded();
    if (conversation.isReady) this.#keepAlive();
  }

  /** The server has sent something: the user is logged in, and the next ping can wait. */
  #keepAlive() {
    this.#wasReady = true;
    for (const { resolve } of this.#attempts.splice(0)) resolve();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#ping(), PING_AFTER);
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
    this.conversation.signed(signature);
    this.flush();
  }

  /** Abandon the connection without waiting for its end, which may take minutes on a dead network path. */
  #drop() {
    clearTimeout(this.#timer);
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    if (this.#socket !== null) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
      this.#socket.close();
      this.#socket = null;
    }
    this.conversation.disconnected();
  }

  /**
   * Handle a lost connection: reconnect after a pause, or end.
   *
   * @param {string} why
   * @param {number} [code] the close code
   * @param {string} [reason]
   */
  #lose(why, code, reason = "") {
    const isRefused = code === TOO_BIG && this.conversation.failTooBig();
    this.#drop();
    const pause = isRefused ? 0 : this.#backoff.pauseAfter(code, reason);
    const lost = new ConnectionLost(`${this.#url}: ${why}`, code, !this.#wasOpened && code === undefined);
    for (const { reject } of this.#attempts.splice(0)) reject(lost);
    if (pause === null || !this.#isNeeded) {
      this.#finish(pause === null ? new ConnectionLost(`the server closed the connection: ${why}`, code) : lost);
      return;
    }
    this.conversation.reconnecting(pause, why);
    this.#timer = setTimeout(() => this.#open(), pause);
  }

  /** @param {Error | null} error null: the program has closed the chat */
  #finish(error) {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#drop();
    for (const { reject } of this.#attempts.splice(0)) reject(error ?? new ConnectionLost("the chat was closed"));
    this.conversation.end(error);
  }
}
