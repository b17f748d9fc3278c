/** The way to a server: one line in a user's own program. */

import { Backoff } from "./backoff.mjs";
import { ConnectionLost } from "./errors.mjs";
import { Room } from "./room.mjs";

/** @typedef {import("./identity.mjs").Identity} Identity */

/**
 * A user at a server. Each room has a connection of its own, since the server lets one be in one room on each.
 */
export class Chat {
  #url;
  #identity;
  #random;
  /** @type {Set<Room>} */
  #rooms = new Set();

  /**
   * @param {string} url
   * @param {Identity} identity
   * @param {{random?: () => number}} [options]
   */
  constructor(url, identity, { random = Math.random } = {}) {
    this.#url = websocketUrl(url);
    this.#identity = identity;
    this.#random = random;
  }

  /**
   * See once whether the server lets the user in; a user that it does not know is registered.
   * Throws `Refused`, `ConnectionLost`.
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
   * Go into a room, and stay there whatever happens to the connection. A user that the server does not know is
   * registered. Its first event is `entered`; whoever may not go in hears `Refused` there.
   *
   * With `since`, the `seq` of the last message that is known from before, those after it come first, or a `gap`. With
   * `listen: false` nothing but `entered` is kept to be read: for who only speaks.
   *
   * @param {string} roomId
   * @param {{since?: number, listen?: boolean}} [options]
   */
  room(roomId, options) {
    const room = new Room(this.#url, this.#identity, roomId, new Backoff(this.#random), options);
    this.#rooms.add(room);
    return room;
  }

  /**
   * As `room`, once one is inside. Throws `Refused`, and `ConnectionLost` if it does not succeed at once: whoever wants to
   * wait for the server takes `room`.
   *
   * @param {string} roomId
   * @param {{since?: number, listen?: boolean}} [options]
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

  /** Where a connection is waited for, try at once: the network may be back. */
  hurry() {
    for (const room of this.#rooms) room.hurry();
  }

  /** Leave all rooms. */
  close() {
    for (const room of this.#rooms) this.leave(room);
  }
}

/**
 * A user at a server; nothing is sent until a room is asked for. Throws `TypeError` if `url` is no address.
 *
 * @param {string} url `https://chat.example` or `wss://chat.example/ws`
 * @param {Identity} identity
 * @param {{random?: () => number}} [options]
 */
export function connect(url, identity, options) {
  return new Chat(url, identity, options);
}

/**
 * The WebSocket's URL of a server: `http`, `https` and no scheme become `ws`, `wss` and `ws`, no path becomes `/ws`.
 * Throws `TypeError`.
 *
 * @param {string} url
 */
export function websocketUrl(url) {
  let parts;
  try {
    parts = new URL(url.includes("://") ? url : `ws://${url}`);
  } catch {
    throw new TypeError(`${url} is no address; one is https://chat.example, or 127.0.0.1:8080`);
  }
  parts.protocol = parts.protocol.replace(/^http/, "ws");
  if (parts.pathname === "/") parts.pathname = "/ws";
  return parts.href;
}
