/** Which rooms are open, and which one is looked at. */

import { keepPlaces } from "./keyring.mjs";
import { OpenRoom } from "./open-room.mjs";

/** Whether the server takes it for the name of a room. @param {string} id */
export function isRoomName(id) {
  return /^[^\u0000-\u001f\u007f-\u009f]{1,128}$/u.test(id);
}

/** Rooms that may be open: each has a connection of its own. */
export const MOST_ROOMS = 30;

/**
 * @typedef {import("../client/chat-client.mjs").Chat} Chat
 * @typedef {import("../client/chat-client.mjs").Room} Room
 * @typedef {import("./keyring.mjs").Places} Places
 * @typedef {import("./open-room.mjs").Watcher} Watcher
 */

export class Rooms {
  /** In the order of opening. @type {OpenRoom[]} */
  all = [];
  /** @type {OpenRoom | null} */
  current = null;
  #chat;
  #userId;
  #watcher;
  #read;
  /** @type {Map<OpenRoom, Room>} */
  #lines = new Map();

  /**
   * @param {Chat} chat
   * @param {string} userId
   * @param {Places} places where one was before
   * @param {Watcher} watcher
   */
  constructor(chat, userId, places, watcher) {
    this.#chat = chat;
    this.#userId = userId;
    this.#read = places.read;
    this.#watcher = watcher;
  }

  /** What is unread in all of them. */
  get unread() {
    return this.all.reduce((sum, { unread }) => sum + unread, 0);
  }

  /** How much the server has not answered. */
  get unsent() {
    return this.all.reduce((sum, { unsent }) => sum + unsent, 0);
  }

  /**
   * Open a room, if it is not, and look at it. Whoever has been put out of it goes in again. Throws where one may not.
   *
   * @param {string} id
   */
  open(id) {
    const room = this.add(id);
    if (room.standing.kind === "out") this.#comeBack(room);
    this.look(room);
  }

  /** Open a room without looking at it. Throws where one may not. @param {string} id */
  add(id) {
    const known = this.all.find((room) => room.id === id);
    if (known !== undefined) return known;
    if (!isRoomName(id)) throw new Error("A room has a name of 1 to 128 characters.");
    if (this.all.length >= MOST_ROOMS) throw new Error(`${MOST_ROOMS} rooms are open; close one first.`);
    const line = this.#chat.room(id);
    const room = new OpenRoom(line, this.#userId, this.#read.get(id), this.#watcher, Date.now);
    this.#lines.set(room, line);
    this.all.push(room);
    void room.listen();
    this.keep();
    return room;
  }

  /** @param {OpenRoom} room */
  look(room) {
    this.current = room;
    room.look();
    this.keep();
    this.#watcher.changed(room);
  }

  /** The room above the current one, or below. @param {number} step */
  lookBeyond(step) {
    if (this.current === null) return;
    const room = this.all[this.all.indexOf(this.current) + step];
    if (room !== undefined) this.look(room);
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

  /** @param {OpenRoom} room that one is out of */
  #comeBack(room) {
    const line = this.#chat.room(room.id, { since: room.lastHeard });
    this.#leave(room);
    this.#lines.set(room, line);
    void room.comeBack(line);
  }

  /** @param {OpenRoom} room */
  #leave(room) {
    const line = this.#lines.get(room);
    if (line !== undefined) this.#chat.leave(line);
    this.#lines.delete(room);
  }

  /** Remember where one is, for the next time. */
  keep() {
    /** @type {Map<string, number>} */
    const read = new Map();
    for (const { id, readUpTo } of this.all) if (readUpTo !== undefined) read.set(id, readUpTo);
    keepPlaces({ rooms: this.all.map(({ id }) => id), current: this.current?.id ?? null, read });
  }
}
