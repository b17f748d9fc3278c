/** The entry point of the module: a server, a user, and the rooms that the user is in. */

import { Connection } from "./connection.mjs";
import { ConnectionLost } from "./errors.mjs";
import { Room } from "./room.mjs";

/**
 * @typedef {import("./event-queue.mjs").ChatEvent} ChatEvent
 * @typedef {import("./identity.mjs").Identity} Identity
 */

/**
 * One user on one server, with one connection for all rooms. It opens with the first room or `logIn`, is restored when it
 * is lost, and closes with `close`.
 *
 * `for await (const message of chat)` yields the messages of extensions that belong to no open room, such as a direct
 * message. At 1,000 unread ones, further ones are dropped; then a `gap` says how many.
 *
 * When the connection has ended for good, all rooms end. A room that is opened later makes a new connection.
 */
export class Chat {
  #url;
  #identity;
  #random;
  #connection;
  #isClosed = false;

  /**
   * @param {string} url as for `connect`
   * @param {Identity} identity
   * @param {{random?: () => number}} [options] `random` returns numbers from 0 to 1, for the pauses between attempts
   * @throws {TypeError} if `url` is not an address
   */
  constructor(url, identity, { random = Math.random } = {}) {
    this.#url = websocketUrl(url);
    this.#identity = identity;
    this.#random = random;
    this.#connection = new Connection(this.#url, identity, random);
  }

  /** The connection, or a new one if it has ended. */
  #live() {
    if (this.#isClosed) throw new ConnectionLost("the chat was closed");
    if (this.#connection.hasEnded) this.#connection = new Connection(this.#url, this.#identity, this.#random);
    return this.#connection;
  }

  /**
   * Connect and log in. An unknown user is registered first. Makes one attempt.
   *
   * @throws {AccessRefused} if the server refuses the login
   * @throws {ConnectionLost} if the server cannot be reached
   */
  async logIn() {
    await this.#live().ready();
  }

  /**
   * Join a room and rejoin it after every lost connection. An unknown user is registered first. Returns at once; the
   * first event is `entered` or `reconnecting`, and reading throws `AccessRefused` if the server refuses the join.
   *
   * @param {string} roomId
   * @param {{since?: number, listen?: boolean}} [options] `since`: the `seq` of the last message that the program has
   *   already; the messages after it come first, or a `gap`. `listen: false`: keep no event but `entered` and the
   *   `reconnecting` before it, for a program that only sends.
   * @throws {TypeError} if this chat has the room open already
   * @throws {ConnectionLost} if the chat was closed
   */
  room(roomId, options) {
    const connection = this.#live();
    const room = new Room(connection, connection.conversation.open(roomId, options));
    connection.connect();
    return room;
  }

  /**
   * Join a room and wait until the user is in it. Makes one attempt; `room` keeps trying.
   *
   * @param {string} roomId
   * @param {{since?: number, listen?: boolean}} [options] as for `room`
   * @throws {AccessRefused} if the server refuses the login or the join
   * @throws {ConnectionLost} if the first attempt fails
   * @throws {TypeError} if this chat has the room open already
   */
  async join(roomId, options) {
    const room = this.room(roomId, options);
    try {
      const event = await room.receive();
      if (event?.type === "reconnecting") throw new ConnectionLost(`${this.#url}: ${event.why}`);
    } catch (error) {
      this.leave(room);
      throw error;
    }
    return room;
  }

  /** Leave a room. The connection stays. @param {Room} room */
  leave(room) {
    room.leave();
  }

  /** Reconnect or rejoin at once where the next attempt waits: the network may be back. */
  hurry() {
    this.#connection.conversation.hurry();
    this.#connection.connect();
  }

  /** Leave all rooms and disconnect for good. */
  close() {
    this.#isClosed = true;
    this.#connection.close();
  }

  /** The next message that belongs to no open room, or null after `close()`. @returns {Promise<ChatEvent | null>} */
  async receive() {
    return this.#connection.conversation.events.next();
  }

  async *[Symbol.asyncIterator]() {
    for (let event = await this.receive(); event !== null; event = await this.receive()) yield event;
  }
}

/**
 * A user on a server. Connects when the first room is requested.
 *
 * @param {string} url `https://chat.example` or `wss://chat.example/ws`
 * @param {Identity} identity
 * @param {{random?: () => number}} [options] as for `Chat`
 * @throws {TypeError} if `url` is not an address
 */
export function connect(url, identity, options) {
  return new Chat(url, identity, options);
}

/**
 * The WebSocket URL of a server: `http` becomes `ws`, `https` becomes `wss`, a missing scheme `ws`, an empty path `/ws`.
 *
 * @param {string} url
 * @throws {TypeError} if `url` is not an address
 */
export function websocketUrl(url) {
  let parts;
  try {
    parts = new URL(url.includes("://") ? url : `ws://${url}`);
  } catch {
    throw new TypeError(`${url} is not an address; use one such as https://chat.example or 127.0.0.1:8080`);
  }
  parts.protocol = parts.protocol.replace(/^http/, "ws");
  if (parts.pathname === "/") parts.pathname = "/ws";
  return parts.href;
}
