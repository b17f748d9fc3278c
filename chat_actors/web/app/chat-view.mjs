/** The chat on the screen: the rooms, the members, the state of the connection, and the message box. */

import { RoomList } from "./room-list.mjs";
import { bdi, element } from "./text.mjs";
import { TimelineView } from "./timeline-view.mjs";
import { onSubmit } from "./login-form.mjs";

/** The most members whose names are listed. The others are only counted. */
const MAX_LISTED_MEMBERS = 500;

/** The key code of a key that an input method handles (UI Events, "How to determine keyCode for keydown and keyup events"). */
const COMPOSING = 229;

const BY_NAME = new Intl.Collator();

/**
 * @typedef {import("./notices.mjs").Notices} Notices
 * @typedef {import("./open-room.mjs").OpenRoom} OpenRoom
 * @typedef {import("./rooms.mjs").Rooms} Rooms
 */

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

export class ChatView {
  #notices;
  /** @type {Rooms} */
  #rooms;
  /** @type {RoomList} */
  #list;
  /** @type {TimelineView} */
  #timeline;
  /** @type {OpenRoom | null} */
  #shown = null;
  #isDrawScheduled = false;
  /** The room whose members are shown, and the version of its list. @type {{room: OpenRoom | null, version: number}} */
  #shownMembers = { room: null, version: 0 };
  /** Unsent text of the message box. @type {WeakMap<OpenRoom, string>} */
  #drafts = new WeakMap();

  /**
   * @param {Rooms} rooms
   * @param {Notices} notices
   */
  constructor(rooms, notices) {
    this.#rooms = rooms;
    this.#notices = notices;
    this.#list = new RoomList(byId("rooms"), rooms, () => this.#focusMessage(), () => byId("join-room").focus());
    this.#timeline = new TimelineView(byId("timeline"), () => this.#markRead(), (text) => this.#insert(text));
    this.#listen();
  }

  /** @param {string} userId */
  show(userId) {
    byId("own-name").textContent = userId;
    byId("chat").hidden = false;
    byId("message").focus();
    setInterval(() => this.#drawStatus(), 1000);
  }

  /** Open the room of a link. @param {string} id */
  follow(id) {
    try {
      this.#rooms.open(id);
      byId("join-problem").textContent = "";
    } catch (error) {
      byId("join-problem").textContent = error instanceof Error ? error.message : String(error);
    }
  }

  /** Whether a message that arrives in this room now is visible to the user. @param {OpenRoom} room */
  isRead(room) {
    return room === this.#shown && this.#timeline.isAtBottom && document.visibilityState === "visible";
  }

  /** Schedule a redraw for the next frame. */
  changed() {
    this.#notices.setTitle(this.#rooms.current?.id ?? null, this.#rooms.unread);
    if (this.#isDrawScheduled) return;
    this.#isDrawScheduled = true;
    requestAnimationFrame(() => {
      this.#isDrawScheduled = false;
      this.#draw();
    });
  }

  // -- input ----------------------------------------------------------------------------------------------------------

  #listen() {
    const message = byId("message");
    byId("composer").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#post();
    });
    message.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      // With an input method, Enter selects a word. Safari ends the composition first but still reports its key code.
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== COMPOSING) {
        event.preventDefault();
        this.#post();
      }
    });
    message.addEventListener("input", () => this.#fit());
    onSubmit(byId("join"), byId("join-problem"), async () => {
      this.#rooms.open(byId("join-room").value.trim());
      byId("join-room").value = "";
      this.#focusMessage();
    });
    byId("newest").addEventListener("click", () => {
      this.#timeline.toNewest();
      this.#markRead();
      message.focus();
    });
    byId("reconnect").addEventListener("click", () => {
      const room = this.#rooms.current;
      if (room?.status.kind === "ended") this.#rooms.rejoin(room);
      else room?.hurry();
      message.focus();
    });
    byId("timeline").addEventListener("click", (/** @type {any} */ event) => {
      if (event.target.closest("button")) message.focus(); // the button disappears with its row
    });
    this.#toggle("show-rooms", "rooms-pane");
    this.#toggle("show-members", "members-pane");
    byId("conversation").addEventListener("pointerdown", () => this.#closePanes());
    document.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("visibilitychange", () => this.#becameVisible());
  }

  #post() {
    const room = this.#rooms.current;
    const text = byId("message").value.trimEnd(); // leading spaces may be intended
    if (room === null || text === "") return;
    byId("message").value = "";
    this.#fit();
    this.#timeline.isAtBottom = true;
    void room.post(text);
  }

  /** Append a text to the message box. @param {string} text */
  #insert(text) {
    const message = byId("message");
    message.value = message.value === "" ? text : `${message.value}\n${text}`;
    this.#fit();
  }

  /** Grow the message box with its lines, in browsers where the stylesheet cannot. */
  #fit() {
    if (!CSS.supports("field-sizing", "content")) byId("message").rows = byId("message").value.split("\n").length;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
      event.preventDefault();
      this.#rooms.selectNeighbor(event.key === "ArrowUp" ? -1 : 1);
    } else if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
      this.#focusMessage();
    }
  }

  /** Close the panes and focus the message box. */
  #focusMessage() {
    this.#closePanes();
    byId("message").focus();
  }

  /** Connect a button with a pane that covers the conversation on a narrow screen. @param {string} button @param {string} pane */
  #toggle(button, pane) {
    byId(button).addEventListener("click", () => {
      const isShown = byId(pane).classList.contains("shown");
      this.#closePanes();
      if (isShown) return;
      byId(pane).classList.add("shown");
      byId(button).setAttribute("aria-expanded", "true");
      byId(pane).querySelector("button, input")?.focus();
    });
  }

  #closePanes() {
    for (const [button, pane] of [["show-rooms", "rooms-pane"], ["show-members", "members-pane"]]) {
      byId(pane).classList.remove("shown");
      byId(button).setAttribute("aria-expanded", "false");
    }
  }

  /** The page is visible again: mark the messages that arrived in the meantime as new. */
  #becameVisible() {
    if (document.visibilityState === "visible") this.#shown?.markUnread();
    this.#markRead();
  }

  #markRead() {
    const room = this.#shown;
    if (room !== null && this.isRead(room) && room.unread > 0) {
      room.markRead();
      this.#rooms.keep();
    }
    byId("newest").hidden = this.#timeline.isAtBottom;
  }

  // -- output ---------------------------------------------------------------------------------------------------------

  #draw() {
    const room = this.#rooms.current;
    this.#drawRooms();
    this.#drawStatus();
    if (room === null) {
      this.#timeline.hide(element("p", "notice", "No room is open. Open one to talk."));
      byId("room-title").textContent = "No room";
      byId("member-count").textContent = "";
      byId("members").replaceChildren();
      this.#shownMembers = { room: null, version: 0 };
      this.#shown = null;
      return;
    }
    if (room === this.#shown) {
      this.#timeline.draw();
    } else {
      const typed = byId("message").value;
      if (this.#shown !== null) this.#drafts.set(this.#shown, typed);
      byId("message").value = this.#drafts.get(room) ?? (this.#shown === null ? typed : "");
      this.#fit();
      this.#shown = room;
      byId("room-title").replaceChildren(bdi(room.id));
      this.#timeline.show(room);
    }
    this.#drawMembers(room);
    this.#markRead();
  }

  #drawRooms() {
    this.#list.draw();
    const badge = byId("show-rooms").querySelector(".badge");
    badge.textContent = String(this.#rooms.unread);
    badge.hidden = this.#rooms.unread === 0;
  }

  #drawStatus() {
    const status = this.#rooms.current?.status;
    const [text, isOffline] = describe(status);
    if (byId("status-text").textContent !== text) byId("status-text").textContent = text;
    // Kept apart from the status text, which a screen reader would otherwise repeat each second.
    byId("countdown").textContent = status?.kind === "reconnecting" ? countdown(status.until - Date.now()) : "";
    byId("status").classList.toggle("offline", isOffline);
    byId("status").classList.toggle("connected", status?.kind === "joined");
    byId("reconnect").hidden = status?.kind !== "reconnecting" && status?.kind !== "ended";
  }

  /** @param {OpenRoom} room */
  #drawMembers(room) {
    // Sorting thousands of names for each received message would slow down typing.
    if (this.#shownMembers.room === room && this.#shownMembers.version === room.memberListVersion) return;
    this.#shownMembers = { room, version: room.memberListVersion };
    byId("member-count").textContent = `(${room.memberCount})`;
    const names = [...room.members].sort(BY_NAME.compare).slice(0, MAX_LISTED_MEMBERS);
    const entries = names.map((name) => element("li", "", bdi(name)));
    const more = room.memberCount - names.length;
    if (more > 0) entries.push(element("li", "hint", `and ${more} more`));
    byId("members").replaceChildren(...entries);
  }
}

/**
 * @param {import("./open-room.mjs").RoomStatus | undefined} status
 * @returns {[string, boolean]} the text, and whether the user is offline
 */
function describe(status) {
  switch (status?.kind) {
    case undefined:
      return ["", false];
    case "joining":
      return ["Connecting…", false];
    case "joined":
      return ["Connected", false];
    case "ended":
      return [status.isOffline ? "Not connected" : "Not in this room", true];
    case "reconnecting":
      return ["Offline", true];
  }
}

/** @param {number} milliseconds */
function countdown(milliseconds) {
  const seconds = Math.ceil(milliseconds / 1000);
  return seconds > 0 ? `: trying again in ${seconds} s` : ": connecting…";
}
