/** The open rooms, and which one is shown. */

import { savePlaces } from "./keyring.mjs";
import { OpenRoom } from "./open-room.mjs";

/** Whether the server accepts this name for a room. @param {string} id */
export function isRoomName(id) {
  return /^[^\u0000-\u001f\u007f-\u009f]{1,128}$/u.test(id);
}

/** The most rooms that may be open. The server allows 50 on one connection. */
export const MAX_ROOMS = 30;

/**
 * @typedef {import("../client/chat-client.mjs").Chat} Chat
 * @typedef {import("../client/chat-client.mjs").Room} Room
 * @typedef {import("./keyring.mjs").Places} Places
 * @typedef {import("./open-room.mjs").Watcher} Watcher
 */

export class Rooms {
  /** The open rooms, in the order in which they were opened. @type {OpenRoom[]} */
  all = [];
  /** @type {OpenRoom | null} */
  current = null;
  #chat;
  #userId;
  #watcher;
  #read;
  /** @type {Map<OpenRoom, Room>} */
  #joined = new Map();

  /**
   * @param {Chat} chat
   * @param {string} userId
   * @param {Places} places the rooms and read positions of the last visit
   * @param {Watcher} watcher
   */
  constructor(chat, userId, places, watcher) {
    this.#chat = chat;
    this.#userId = userId;
    this.#read = places.read;
    this.#watcher = watcher;
  }

  /** The number of unread messages in all rooms. */
  get unread() {
    return this.all.reduce((sum, { unread }) => sum + unread, 0);
  }

  /** The number of messages that the server has not yet stored. */
  get unsent() {
    return this.all.reduce((sum, { unsent }) => sum + unsent, 0);
  }

  /**
   * Open a room and show it. Rejoins if it has ended.
   *
   * @param {string} id
   * @throws {Error} if the name is invalid or too many rooms are open
   */
  open(id) {
    const room = this.add(id);
    if (room.status.kind === "ended") this.rejoin(room);
    this.select(room);
  }

  /** Open a room without showing it. Throws as `open`. @param {string} id */
  add(id) {
    const known = this.all.find((room) => room.id === id);
    if (known !== undefined) return known;
    if (!isRoomName(id)) throw new Error("A room has a name of 1 to 128 characters.");
    if (this.all.length >= MAX_ROOMS) throw new Error(`${MAX_ROOMS} rooms are open; close one first.`);
    const joined = this.#chat.room(id);
    const room = new OpenRoom(joined, this.#userId, this.#read.get(id), this.#watcher, Date.now);
    this.#joined.set(room, joined);
    this.all.push(room);
    void room.listen();
    this.keep();
    return room;
  }

  /** Show a room. @param {OpenRoom} room */
  select(room) {
    this.current = room;
    room.markUnread();
    this.keep();
    this.#watcher.changed(room);
  }

  /** Show the room above or below the current one. @param {number} step */
  selectNeighbor(step) {
    if (this.current === null) return;
    const room = this.all[this.all.indexOf(this.current) + step];
    if (room !== undefined) this.select(room);
  }

  /** Leave a room. @param {OpenRoom} room */
  close(room) {
    const at = this.all.indexOf(room);
    this.all.splice(at, 1);
    this.#leave(room);
    if (room.readUpTo !== undefined) this.#read.set(room.id, room.readUpTo);
    if (this.current === room) this.current = this.all[Math.max(0, at - 1)] ?? null;
    this.keep();
    this.#watcher.changed(room);
  }

  /** Rejoin a room that has ended; if the connection has, all rooms. @param {OpenRoom} room */
  rejoin(room) {
    const isOffline = room.status.kind === "ended" && room.status.isOffline;
    const ended = this.all.filter(({ status }) => status.kind === "ended" && status.isOffline);
    for (const each of isOffline ? ended : [room]) {
      const joined = this.#chat.room(each.id, { since: each.lastSeq });
      this.#joined.set(each, joined);
      void each.rejoin(joined);
    }
  }

  /** @param {OpenRoom} room */
  #leave(room) {
    const joined = this.#joined.get(room);
    if (joined !== undefined) this.#chat.leave(joined);
    this.#joined.delete(room);
  }

  /** Store the open rooms and read positions for the next visit. */
  keep() {
    /** @type {Map<string, number>} */
    const read = new Map();
    for (const { id, readUpTo } of this.all) if (readUpTo !== undefined) read.set(id, readUpTo);
    savePlaces({ rooms: this.all.map(({ id }) => id), current: this.current?.id ?? null, read });
  }
}
