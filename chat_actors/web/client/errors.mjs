/** The errors that the client throws. */

/** There is no connection, and the client makes no more attempts. Whether unanswered requests were executed is unknown. */
export class ConnectionLost extends Error {
  /**
   * @param {string} problem
   * @param {number} [code] the close code, if the connection ended with a Close
   */
  constructor(problem, code) {
    super(problem);
    this.name = "ConnectionLost";
    this.code = code;
  }
}

/** The connection ended before the answer to a command that must not be sent twice. Whether it was executed is unknown. */
export class Unanswered extends Error {
  /** @param {string} why */
  constructor(why) {
    super(`no answer: ${why}; the command may or may not have been executed`);
    this.name = "Unanswered";
  }
}

/** The answer is behind too many unread events. Whether the request was executed is unknown. */
export class EventsUnread extends Error {
  /** @param {number} waiting */
  constructor(waiting) {
    super(`${waiting} events are unread, and the answer is behind them: read them, or use { listen: false }`);
    this.name = "EventsUnread";
    this.waiting = waiting;
  }
}

/** The server refuses the login, the registration or the join for good. `doing` says which. */
export class AccessRefused extends Error {
  /**
   * @param {"log in" | "register" | "join"} doing
   * @param {string} text the server's text, for people
   * @param {string} [code] the server's error code, for programs
   */
  constructor(doing, text, code) {
    const hint = code === "invalid_signature" ? "; the name belongs to another key" : "";
    super(`the server refused to ${doing}: ${text}${hint}`);
    this.name = "AccessRefused";
    this.doing = doing;
    this.text = text;
    this.code = code;
  }
}

/** The server refused the request, and would refuse it again. */
export class CommandRefused extends Error {
  /**
   * @param {string} text the server's text, for people
   * @param {string} [code] the server's error code, for programs
   */
  constructor(text, code) {
    super(`the server refused: ${text}`);
    this.name = "CommandRefused";
    this.text = text;
    this.code = code;
  }
}

/** Too many requests wait for an answer. Nothing was sent. */
export class TooMuchUnsent extends Error {
  /** @param {number} most the limit */
  constructor(most) {
    super(`${most} requests wait for an answer; wait until some have been answered`);
    this.name = "TooMuchUnsent";
    this.most = most;
  }
}
