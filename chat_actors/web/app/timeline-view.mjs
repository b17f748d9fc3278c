/** A timeline on the screen: draws only a few hundred rows around the scroll position. */

import { bdi, element, linked } from "./text.mjs";

/** The most rows that are drawn. */
const WINDOW = 300;

/** Rows by which the window moves. */
const STEP = 100;

/** Pixels from an end of the drawn rows at which more are drawn. */
const NEAR = 800;

/** Pixels from the bottom within which new messages count as visible. */
const AT_BOTTOM = 40;

/** Milliseconds within which messages of one author are grouped under one name. */
const GROUP = 5 * 60_000;

/**
 * @typedef {import("./open-room.mjs").OpenRoom} OpenRoom
 * @typedef {import("./timeline.mjs").Row} Row
 * @typedef {import("./timeline.mjs").MessageRow} MessageRow
 */

export class TimelineView {
  /** Whether new messages are visible at once. */
  isAtBottom = true;
  #box;
  #onScrolled;
  #onEdit;
  /** @type {OpenRoom | null} */
  #room = null;
  /** The first row that is drawn; null while the view follows the newest message. @type {Row | null} */
  #top = null;
  /** @type {Map<string, HTMLElement>} */
  #drawn = new Map();
  #time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
  #day = new Intl.DateTimeFormat(undefined, { dateStyle: "full" });
  #moment = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

  /**
   * @param {HTMLElement} box
   * @param {() => void} onScrolled
   * @param {(text: string) => void} onEdit the user wants to edit a message that was not sent
   */
  constructor(box, onScrolled, onEdit) {
    this.#box = box;
    this.#onScrolled = onScrolled;
    this.#onEdit = onEdit;
    box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.isAtBottom && this.#toBottom()).observe(box);
  }

  /** Show another room. @param {OpenRoom} room */
  show(room) {
    this.#room = room;
    this.#top = null;
    this.#drawn.clear();
    this.#box.replaceChildren();
    this.isAtBottom = true;
    this.draw();
  }

  /** Show an element instead of a room. @param {HTMLElement} instead */
  hide(instead) {
    this.#room = null;
    this.#drawn.clear();
    this.#box.replaceChildren(instead);
  }

  /** Go to the newest message. */
  toNewest() {
    this.#top = null;
    this.isAtBottom = true;
    this.draw();
  }

  /** Draw what has changed. The visible rows keep their position. */
  draw() {
    if (this.#room === null) return;
    const anchor = this.isAtBottom ? null : this.#firstVisible();
    const rows = this.#room.timeline.rows;
    const start = this.#start(rows);
    const slice = rows.slice(start, start + WINDOW);
    /** @type {Map<string, HTMLElement>} */
    const drawn = new Map();
    let previous = lastMessage(rows, start);
    slice.forEach((row, index) => {
      const startsDay = row.kind === "message" && previous?.time.toDateString() !== row.time.toDateString();
      const isFirst = row.kind === "message" && (startsDay || !isGrouped(rows[start + index - 1], row));
      if (row.kind === "message") previous = row;
      const key = `${row.key} ${row.version} ${startsDay} ${isFirst}`;
      drawn.set(key, this.#drawn.get(key) ?? this.#element(row, startsDay, isFirst));
    });
    for (const [key, old] of this.#drawn) if (!drawn.has(key)) old.remove();
    let next = this.#box.firstChild;
    for (const one of drawn.values()) {
      if (one === next) next = next.nextSibling;
      else this.#box.insertBefore(one, next);
    }
    this.#drawn = drawn;
    if (this.isAtBottom) this.#toBottom();
    else if (anchor !== null) this.#keep(anchor);
    if (start === 0 && this.#box.scrollTop < NEAR) this.#readOlder();
  }

  /** @param {Row[]} rows */
  #start(rows) {
    const last = Math.max(0, rows.length - WINDOW);
    if (this.#top === null || this.isAtBottom) return last;
    const at = rows.indexOf(this.#top);
    return at < 0 ? last : Math.min(at, last);
  }

  #scrolled() {
    if (this.#room === null) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const rows = this.#room.timeline.rows;
    const start = this.#start(rows);
    const toBottom = scrollHeight - clientHeight - scrollTop;
    this.isAtBottom = toBottom < AT_BOTTOM && start + WINDOW >= rows.length;
    let wanted = start;
    if (scrollTop < NEAR) wanted = Math.max(0, start - STEP);
    else if (toBottom < NEAR) wanted = Math.min(Math.max(0, rows.length - WINDOW), start + STEP);
    const hasMoved = wanted !== start;
    this.#top = this.isAtBottom ? null : (rows[wanted] ?? null);
    if (hasMoved) this.draw();
    else if (start === 0 && scrollTop < NEAR) this.#readOlder();
    this.#onScrolled();
  }

  #readOlder() {
    if (this.#room?.hasHistory && this.#room.status.kind === "joined") void this.#room.readOlder();
  }

  #toBottom() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** The first visible row, and its distance from the top. */
  #firstVisible() {
    const top = this.#box.scrollTop;
    for (const [key, one] of this.#drawn) {
      if (one.offsetTop + one.offsetHeight > top) return { row: key.split(" ")[0], offset: one.offsetTop - top };
    }
    return null;
  }

  /** @param {{row: string | undefined, offset: number}} anchor */
  #keep({ row, offset }) {
    for (const [key, one] of this.#drawn) {
      if (key.split(" ")[0] === row) {
        this.#box.scrollTop = one.offsetTop - offset;
        return;
      }
    }
  }

  /**
   * @param {Row} row
   * @param {boolean} startsDay
   * @param {boolean} isFirst
   */
  #element(row, startsDay, isFirst) {
    switch (row.kind) {
      case "message": {
        const shown = this.#message(row, isFirst);
        return startsDay ? element("div", "", element("p", "day", this.#day.format(row.time)), shown) : shown;
      }
      case "problem":
        return element("p", "notice problem", row.text);
      case "unread":
        return element("p", "unread-line", row.text);
      default:
        return element("p", "notice", row.text);
    }
  }

  /**
   * @param {MessageRow} row
   * @param {boolean} isFirst whether it is the first of a group
   */
  #message(row, isFirst) {
    const author = element("span", isFirst ? "author" : "author unseen", bdi(row.userId));
    author.style.setProperty("--hue", String(hue(row.userId)));
    const time = element("time", isFirst ? "" : "unseen", this.#time.format(row.time));
    time.dateTime = row.time.toISOString();
    time.title = this.#moment.format(row.time);
    const content = element("div", "content", ...linked(row.content));
    content.dir = "auto";
    const shown = element("article", `message ${row.sendStatus}${isFirst ? " first" : ""}`, author, time, content);
    if (row.sendStatus === "sending") shown.append(element("p", "send-status", "Sending…"));
    if (row.sendStatus === "failed") shown.append(this.#failure(row));
    return shown;
  }

  /** @param {MessageRow} row */
  #failure(row) {
    const again = element("button", "", "Try again");
    again.addEventListener("click", () => void this.#room?.postAgain(row));
    const edit = element("button", "", "Edit");
    edit.addEventListener("click", () => {
      this.#room?.timeline.discard(row);
      this.#onEdit(row.content);
    });
    const discard = element("button", "", "Discard");
    discard.addEventListener("click", () => this.#room?.timeline.discard(row));
    return element("div", "send-status", element("span", "", `Not sent: ${row.problem}`), again, edit, discard);
  }
}

/** The last message before an index. @param {Row[]} rows @param {number} at */
function lastMessage(rows, at) {
  for (let index = at - 1; index >= 0; index -= 1) {
    const row = rows[index];
    if (row?.kind === "message") return row;
  }
  return undefined;
}

/** @param {Row | undefined} before @param {MessageRow} row */
function isGrouped(before, row) {
  return (
    before?.kind === "message" &&
    before.userId === row.userId &&
    row.time.getTime() - before.time.getTime() < GROUP
  );
}

/** A color derived from the name, in degrees. @param {string} name */
function hue(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return sum;
}
