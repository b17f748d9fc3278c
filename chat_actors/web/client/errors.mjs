/** What can go wrong for who uses the client. */

/** There is no connection, or no longer, and there will be none. Nobody knows whether what was asked has been done. */
export class ConnectionLost extends Error {
  /**
   * @param {string} problem
   * @param {number} [code] the close code, if there was a Close
   */
  constructor(problem, code) {
    super(problem);
    this.name = "ConnectionLost";
    this.code = code;
  }
}

/** The answer to what may not be sent twice did not come: nobody knows whether it was done. */
export class Unanswered extends Error {
  /** @param {string} why */
  constructor(why) {
    super(`no answer: ${why}; it may have been done, or not`);
    this.name = "Unanswered";
  }
}

/** The answer can not come, since too many events wait to be read. Nobody knows whether what was asked has been done. */
export class NobodyReads extends Error {
  /** @param {number} waiting */
  constructor(waiting) {
    super(`${waiting} events wait to be read, and the answer is behind them: read them, or use { listen: false }`);
    this.name = "NobodyReads";
    this.waiting = waiting;
  }
}

/** The server does not let the user in: neither now nor later. `doing` is "log in", "register" or "join". */
export class Refused extends Error {
  /**
   * @param {"log in" | "register" | "join"} doing
   * @param {string} text what the server says
   * @param {string} [code] a stable word
   */
  constructor(doing, text, code) {
    const hint = code === "invalid_signature" ? "; the name belongs to another key" : "";
    super(`the server refused to ${doing}: ${text}${hint}`);
    this.name = "Refused";
    this.doing = doing;
    this.text = text;
    this.code = code;
  }
}

/** The server refused to do what was asked, and would again. */
export class NotSent extends Error {
  /**
   * @param {string} text what the server says
   * @param {string} [code] a stable word
   */
  constructor(text, code) {
    super(`the server refused: ${text}`);
    this.name = "NotSent";
    this.text = text;
    this.code = code;
  }
}

/** So much waits for the server already. Nothing was added. */
export class TooMuchUnsent extends Error {
  /** @param {number} most */
  constructor(most) {
    super(`${most} messages wait for the server already; wait until some have been answered`);
    this.name = "TooMuchUnsent";
    this.most = most;
  }
}
