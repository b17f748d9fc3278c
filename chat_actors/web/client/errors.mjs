/** The errors that the client throws. */

/** There is no connection, and the client makes no more attempts. Whether unanswered requests were executed is unknown. */
export class ConnectionLost extends Error {
  /**
   * @param {string} problem
   * @param {number} [code] the close code, if the connection ended with a Close
   * @param {boolean} [isUnopened] whether it is certain that the last attempt opened no connection
   */
  constructor(problem, code, isUnopened = false) {
    super(problem);
    this.name = "ConnectionLost";
    this.code = code;
    this.isUnopened = isUnopened;
  }
}

/** The server is older than this client. All rooms end. */
export class ServerTooOld extends ConnectionLost {
  constructor() {
    super(
      "the server is too old for this client: it does not offer several rooms on one connection. Update the server, or " +
        "use the client that comes with it",
    );
    this.name = "ServerTooOld";
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

/** The refusal of a message that is longer than a frame of the server. */
export function tooBig() {
  return new CommandRefused("The message is longer than the server accepts.", "too_big");
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

/** Codes of errors that may not occur at a later attempt. */
const TRANSIENT = new Set(["not_stored", "room_failed", "too_many_messages", "too_many_rooms", "internal_failure", "busy"]);

/** The connection is out of the room, for no fault of the user: it can join again. */
const ROOM_LOST = new Set(["room_closed", "not_in_room", "not_joined", "no_current_room"]);

/** The user has sent too much: the limit is one for all rooms. */
export const RATE_LIMIT = "too_many_messages";

/** Whether a request with this error may succeed later. @param {string | undefined} code */
export function isTransient(code) {
  return TRANSIENT.has(code ?? "");
}

/** Whether this error means that the connection is out of the room and can join again. @param {string | undefined} code */
export function isRoomLost(code) {
  return ROOM_LOST.has(code ?? "");
}

/** Whether a request with this error may succeed later, or in the room again. @param {string | undefined} code */
export function isTemporary(code) {
  return isTransient(code) || isRoomLost(code);
}
