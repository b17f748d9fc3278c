/** The entry point of the module: a server, a user, and the rooms that the user is in. */

import { Backoff } from "./backoff.mjs";
import { ConnectionLost } from "./errors.mjs";
import { Room } from "./room.mjs";

/** @typedef {import("./identity.mjs").Identity} Identity */

/**
 * One user on one server. Each room has its own connection, since a connection can be in one room only.
 */
export class Chat {
  #url;
  #identity;
  #random;
  /** @type {Set<Room>} */
  #rooms = new Set();

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
  }

  /**
   * Log in once and disconnect. An unknown user is registered first.
   *
   * @throws {AccessRefused} if the server refuses the login
   * @throws {ConnectionLost} if the server cannot be reached
   */
  async logIn() {
    const line = new Room(this.#url, this.#identity, null, new Backoff(this.#random));
    try {
      const event = await line.receive();
      if (event?.type === "reconnecting") throw this.#noServer(event.why);
    } finally {
      line.leave();
    }
  }

  /**
   * Join a room and rejoin it after every lost connection. An unknown user is registered first. Returns at once; the
   * first event is `entered` or `reconnecting`, and reading throws `AccessRefused` if the server refuses the join.
   *
   * @param {string} roomId
   * @param {{since?: number, listen?: boolean}} [options] `since`: the `seq` of the last message that the program has
   *   already; the messages after it come first, or a `gap`. `listen: false`: keep no event but `entered`, for a program
   *   that only sends.
   */
  room(roomId, options) {
    const room = new Room(this.#url, this.#identity, roomId, new Backoff(this.#random), options);
    this.#rooms.add(room);
    return room;
  }

  /**
   * Join a room and wait until the user is in it. Makes one attempt; `room` keeps trying.
   *
   * @param {string} roomId
   * @param {{since?: number, listen?: boolean}} [options] as for `room`
   * @throws {AccessRefused} if the server refuses the login or the join
   * @throws {ConnectionLost} if the first attempt fails
   */
  async join(roomId, options) {
    const room = this.room(roomId, options);
    try {
      const event = await room.receive();
      if (event?.type === "reconnecting") throw this.#noServer(event.why);
    } catch (error) {
      this.leave(room);
      throw error;
    }
    return room;
  }

  /** @param {string} why */
  #noServer(why) {
    return new ConnectionLost(`${this.#url}: ${why}`);
  }

  /** Leave a room. @param {Room} room */
  leave(room) {
    this.#rooms.delete(room);
    room.leave();
  }

  /** Reconnect at once where a room waits for its next attempt: the network may be back. */
  hurry() {
    for (const room of this.#rooms) room.hurry();
  }

  /** Leave all rooms. */
  close() {
    for (const room of this.#rooms) this.leave(room);
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
