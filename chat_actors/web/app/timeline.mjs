/** The rows of a room: messages, notices and presence. Pure: draws nothing. */

/** The most rows in memory. Older ones are read from the server's history on scrolling. */
const MAX_ROWS = 20_000;

/** The most names in one presence row. */
const MAX_NAMES = 8;

/**
 * @typedef {object} MessageRow
 * @property {"message"} kind
 * @property {string} key
 * @property {number} version
 * @property {number | null} seq null until it is stored; 0 if its number is from before a renumbering
 * @property {string} userId
 * @property {string} content
 * @property {Date} time
 * @property {"sent" | "sending" | "failed"} sendStatus
 * @property {string} problem why sending failed
 *
 * @typedef {{kind: "notice" | "problem" | "unread", key: string, version: number, text: string}} NoticeRow
 * @typedef {{kind: "presence", key: string, version: number, changes: string[], more: number, text: string}} PresenceRow
 * @typedef {MessageRow | NoticeRow | PresenceRow} Row
 *
 * @typedef {{userId: string, content: string, timestamp: string, seq: number}} ChatMessage
 */

export class Timeline {
  /** Oldest first. @type {Row[]} */
  rows = [];
  /** Whether the server has older messages than the first row. */
  hasOlder = true;
  /** @type {Map<number, MessageRow>} */
  #bySeq = new Map();
  #nextKey = 0;
  #onChange;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /** The number of the oldest message, or null. */
  get first() {
    for (const row of this.rows) if (row.kind === "message" && row.seq) return row.seq;
    return null;
  }

  /** The number of this user's messages that are being sent. */
  get unsent() {
    let count = 0;
    for (let at = this.rows.length - 1; at >= 0 && this.#isUnsent(this.rows[at]); at -= 1) {
      if (/** @type {MessageRow} */ (this.rows[at]).sendStatus === "sending") count += 1;
    }
    return count;
  }

  /** Whether the row limit is reached. */
  get isFull() {
    return this.rows.length >= MAX_ROWS;
  }

  /** Add a received message. @param {ChatMessage} message */
  add(message) {
    if (this.#bySeq.has(message.seq)) return; // an own message whose `accepted` came first
    this.#append(this.#messageRow(message));
    if (this.rows.length > MAX_ROWS) {
      for (const row of this.rows.splice(0, this.rows.length - MAX_ROWS)) {
        if (row.kind === "message" && row.seq !== null) this.#bySeq.delete(row.seq);
      }
      this.hasOlder = true;
    }
  }

  /**
   * Insert a page of history, oldest first, before the first row.
   *
   * @param {ChatMessage[]} messages
   * @param {boolean} hasOlder
   */
  prepend(messages, hasOlder) {
    this.rows.unshift(...messages.filter(({ seq }) => !this.#bySeq.has(seq)).map((one) => this.#messageRow(one)));
    this.hasOlder = hasOlder;
    this.#onChange();
  }

  /** The server has restarted its numbering: keep the rows, but drop their numbers, which may occur again. */
  renumbered() {
    for (const row of this.#bySeq.values()) row.seq = 0;
    this.#bySeq.clear();
    this.hasOlder = false;
  }

  /** Add a message of this user that is being sent. @param {string} userId @param {string} content @param {Date} time */
  send(userId, content, time) {
    const row = this.#message(null, userId, content, time, "sending");
    this.#append(row);
    return row;
  }

  /**
   * Mark a sent message as stored and move it to its place in the order of numbers.
   *
   * @param {MessageRow} row
   * @param {number} seq
   * @param {string} timestamp
   */
  accepted(row, seq, timestamp) {
    this.#remove(row);
    const known = this.#bySeq.get(seq);
    if (known === undefined) {
      Object.assign(row, { seq, time: new Date(timestamp), sendStatus: "sent", problem: "", version: row.version + 1 });
      this.#bySeq.set(seq, row);
      let at = this.rows.length;
      while (at > 0 && this.#isAfter(this.rows[at - 1], seq)) at -= 1;
      this.rows.splice(at, 0, row);
    }
    this.#onChange();
  }

  /** @param {MessageRow} row @param {string} problem */
  failed(row, problem) {
    Object.assign(row, { sendStatus: "failed", problem, version: row.version + 1 });
    this.#onChange();
  }

  /** Remove a message that was not sent. @param {MessageRow} row */
  discard(row) {
    this.#remove(row);
    this.#onChange();
  }

  /** @param {string} text @param {"notice" | "problem"} kind */
  notice(text, kind = "notice") {
    this.#append({ kind, key: this.#key(), version: 0, text });
  }

  /** Report a join or a leave. Those without a message in between share one row. @param {string} text */
  presence(text) {
    const last = this.rows.at(-1);
    if (last?.kind !== "presence") {
      this.#append({ kind: "presence", key: this.#key(), version: 0, changes: [text], more: 0, text });
      return;
    }
    if (last.changes.length < MAX_NAMES) last.changes.push(text);
    else last.more += 1;
    last.text = last.changes.join(" · ") + (last.more > 0 ? ` · and ${last.more} more` : "");
    last.version += 1;
    this.#onChange();
  }

  /** Insert the unread line before the first message above this number, if there is one. @param {number} seq */
  markUnread(seq) {
    this.rows = this.rows.filter(({ kind }) => kind !== "unread");
    const at = this.rows.findIndex((row) => row.kind === "message" && row.seq !== null && row.seq > seq);
    if (at > 0) this.rows.splice(at, 0, { kind: "unread", key: this.#key(), version: 0, text: "New messages" });
    this.#onChange();
  }

  /** @param {Row} row @param {number} seq */
  #isAfter(row, seq) {
    return row.kind === "message" && (row.seq === null || row.seq > seq);
  }

  /** @param {ChatMessage} message */
  #messageRow({ seq, userId, content, timestamp }) {
    const row = this.#message(seq, userId, content, new Date(timestamp), "sent");
    this.#bySeq.set(seq, row);
    return row;
  }

  /**
   * @param {number | null} seq
   * @param {string} userId
   * @param {string} content
   * @param {Date} time
   * @param {MessageRow["sendStatus"]} sendStatus
   * @returns {MessageRow}
   */
  #message(seq, userId, content, time, sendStatus) {
    return { kind: "message", key: this.#key(), version: 0, seq, userId, content, time, sendStatus, problem: "" };
  }

  /** Append a row, before the messages that are not stored yet. @param {Row} row */
  #append(row) {
    let at = this.rows.length;
    if (row.kind !== "message" || row.seq !== null) while (at > 0 && this.#isUnsent(this.rows[at - 1])) at -= 1;
    this.rows.splice(at, 0, row);
    this.#onChange();
  }

  /** @param {Row} row */
  #isUnsent(row) {
    return row.kind === "message" && row.seq === null;
  }

  /** @param {Row} row */
  #remove(row) {
    const at = this.rows.lastIndexOf(row);
    if (at >= 0) this.rows.splice(at, 1);
  }

  #key() {
    this.#nextKey += 1;
    return String(this.#nextKey);
  }
}
