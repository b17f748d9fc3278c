/** The list of the open rooms with their unread counts. */

import { bdi, element } from "./text.mjs";

/**
 * @typedef {import("./open-room.mjs").OpenRoom} OpenRoom
 * @typedef {import("./rooms.mjs").Rooms} Rooms
 */

/** Draws one entry for each open room: a button that selects it and one that leaves it. */
export class RoomList {
  #list;
  #rooms;
  #onSelected;
  #onEmpty;
  /** @type {WeakMap<OpenRoom, HTMLElement>} */
  #entries = new WeakMap();

  /**
   * @param {HTMLElement} list
   * @param {Rooms} rooms
   * @param {() => void} onSelected the user selected a room
   * @param {() => void} onEmpty the user left the last room
   */
  constructor(list, rooms, onSelected, onEmpty) {
    this.#list = list;
    this.#rooms = rooms;
    this.#onSelected = onSelected;
    this.#onEmpty = onEmpty;
  }

  /** Draw the rooms as they are now. */
  draw() {
    const entries = this.#rooms.all.map((room) => this.#entry(room));
    for (const old of [...this.#list.children]) if (!entries.includes(/** @type {HTMLElement} */ (old))) this.#remove(old);
    this.#list.append(...entries.slice(this.#list.children.length)); // new rooms come last
    for (const room of this.#rooms.all) this.#drawEntry(room);
  }

  /** @param {Element} entry */
  #remove(entry) {
    const next = entry.nextElementSibling ?? entry.previousElementSibling;
    const hadFocus = entry.contains(document.activeElement);
    entry.remove();
    if (!hadFocus) return;
    if (next === null) this.#onEmpty();
    else /** @type {HTMLElement} */ (next.querySelector(".close")).focus();
  }

  /** @param {OpenRoom} room */
  #drawEntry(room) {
    const entry = this.#entry(room);
    const isCurrent = room === this.#rooms.current;
    entry.classList.toggle("current", isCurrent);
    entry.classList.toggle("unread", room.unread > 0);
    part(entry, ".open").ariaCurrent = isCurrent ? "true" : null;
    part(entry, ".badge").hidden = room.unread === 0;
    part(entry, ".badge").textContent = room.unread > 0 ? String(room.unread) : "";
    part(entry, ".unseen").textContent = room.unread > 0 ? " unread" : "";
  }

  /** The entry of a room. Reused, because a button that is replaced while it is pressed gets no click. @param {OpenRoom} room */
  #entry(room) {
    const known = this.#entries.get(room);
    if (known !== undefined) return known;
    const open = element("button", "open", bdi(room.id), element("span", "badge"), element("span", "unseen"));
    open.addEventListener("click", () => {
      this.#rooms.select(room);
      this.#onSelected();
    });
    const close = element("button", "close", element("span", "", "×"));
    close.setAttribute("aria-label", `Leave ${room.id}`);
    close.addEventListener("click", () => {
      const loss = `Your last message in ${room.id} is not sent yet. Leave the room anyway?`;
      if (room.unsent === 0 || confirm(loss)) this.#rooms.close(room);
    });
    const entry = element("li", "", open, close);
    this.#entries.set(room, entry);
    return entry;
  }
}

/** @param {HTMLElement} entry @param {string} name */
function part(entry, name) {
  return /** @type {HTMLElement} */ (entry.querySelector(name));
}
