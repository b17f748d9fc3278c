/** The login on one connection. No I/O. */

import { AccessRefused, isTransient, ServerTooOld } from "./errors.mjs";

/** The part of the protocol that this client speaks. */
const PROTOCOL = 3;

/**
 * @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage
 * @typedef {import("./requests.mjs").Command} Command
 */

/** Asks what the server offers, signs its challenge, and registers an unknown user first. */
export class Login {
  /** The challenge to sign, in base64; then call `signed`. @type {string | null} */
  toSign = null;
  isDone = false;
  /** Whether the login failed, but may succeed on a later connection. */
  isBroken = false;
  /** The most bytes of a frame that the server accepts. */
  frameBytes = Infinity;
  #userId;
  #publicPem;
  #hasRegistered = false;
  #isWelcome = false;

  /** @param {string} userId @param {string} publicPem */
  constructor(userId, publicPem) {
    this.#userId = userId;
    this.#publicPem = publicPem;
  }

  /** The first commands. @returns {Command[]} */
  begin() {
    return [{ type: "hello", protocol: PROTOCOL, client: "chat_actors/javascript" }, { type: "get_challenge" }];
  }

  /** Answer the challenge in `toSign`. @param {string} signature in base64 @returns {Command} */
  signed(signature) {
    this.toSign = null;
    return { type: "authenticate", userId: this.#userId, signature };
  }

  /**
   * Handle a message of the server.
   *
   * @param {ServerMessage} message
   * @returns {Command[]} the commands to send
   * @throws {AccessRefused} if the server refuses the login
   * @throws {ServerTooOld} if it does not offer several rooms
   * @throws {TypeError} if its challenge is not a text
   */
  receive(message) {
    switch (message.type) {
      case "welcome":
        this.#isWelcome = message.features?.includes("rooms");
        if (!this.#isWelcome) throw new ServerTooOld();
        this.frameBytes = message.limits?.frameBytes || Infinity;
        return [];
      case "challenge":
        if (typeof message.challenge !== "string") throw new TypeError("a challenge that is not a text");
        this.toSign = message.challenge;
        return [];
      case "registered":
        return [{ type: "get_challenge" }];
      case "authenticated":
        if (!this.#isWelcome) throw new ServerTooOld();
        this.isDone = true;
        return [];
      case "error":
        return this.#fail(message);
    }
    return [];
  }

  /** @param {ServerMessage} error @returns {Command[]} */
  #fail({ code, message }) {
    if (code === "unknown_type" || message === "Unknown message type: hello") throw new ServerTooOld();
    if (code === "user_not_registered" && !this.#hasRegistered) {
      this.#hasRegistered = true;
      return [{ type: "register", userId: this.#userId, publicKey: this.#publicPem }];
    }
    if (code === "user_exists") return [{ type: "get_challenge" }]; // another connection registered the user first
    if (!isTransient(code)) throw new AccessRefused(this.#hasRegistered ? "register" : "log in", message, code);
    this.isBroken = true;
    return [];
  }
}
