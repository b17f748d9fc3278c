/** A model of the server: rooms with numbered messages, and one connection at a time. It fails where the test wants. */

export class ModelServer {
  /** Texts on their way to the client. */
  outgoing = [];
  /** How often each command that must not be repeated was executed, by its `key`. */
  executed = new Map();
  /** Chooses the code of the error that refuses a command, or null. */
  refusal = () => null;
  rooms = new Map();
  /** The rooms that the client may not join. */
  banned = new Set();
  #joined = new Set();
  #isLoggedIn = false;

  room(id) {
    if (!this.rooms.has(id)) this.rooms.set(id, { log: [], kept: 1, receipts: new Map() });
    return this.rooms.get(id);
  }

  /** The connection is lost: so is what is on its way. */
  cut() {
    this.outgoing = [];
    this.#joined.clear();
    this.#isLoggedIn = false;
  }

  /** The messages that the server still has. */
  kept(id) {
    return this.room(id).log.filter(({ seq }) => seq >= this.room(id).kept);
  }

  post(id, userId, content, clientMsgId) {
    const { log, receipts } = this.room(id);
    const known = receipts.get(clientMsgId);
    if (known !== undefined) return known;
    const message = { type: "chat_message", roomId: id, userId, content, seq: log.length + 1 };
    log.push(message);
    if (clientMsgId !== undefined) receipts.set(clientMsgId, message.seq);
    if (this.#joined.has(id)) this.#send(message);
    return message.seq;
  }

  /** Remove the client from a room. */
  remove(id, code) {
    if (this.#joined.delete(id)) this.#send({ type: "error", roomId: id, code, message: code });
  }

  /** Forget the oldest messages of a room. */
  trim(id, count) {
    const room = this.room(id);
    room.kept = Math.min(room.kept + count, room.log.length + 1);
  }

  isMember(id) {
    return this.#joined.has(id);
  }

  take(text) {
    const command = JSON.parse(text);
    const code = this.#isLoggedIn ? this.refusal(command) : null;
    if (code === null) this.#execute(command);
    else this.#send({ type: "error", id: command.id, code, message: code });
  }

  #send(message) {
    this.outgoing.push(JSON.stringify(message));
  }

  #execute(command) {
    const { type, id, roomId } = command;
    switch (type) {
      case "hello":
        return this.#send({ type: "welcome", features: ["rooms"], limits: { frameBytes: 1000 } });
      case "get_challenge":
        return this.#send({ type: "challenge", challenge: "AAAA" });
      case "authenticate":
        this.#isLoggedIn = true;
        return this.#send({ type: "authenticated" });
      case "join":
        return this.#join(command);
      case "leave":
        return this.#send(this.#joined.delete(roomId) ? { type: "left", roomId, id } : this.#notJoined(id));
      case "history":
        return this.#send({ type: "history", id, roomId, messages: this.kept(roomId), more: false });
    }
    if (!this.#joined.has(roomId)) return this.#send(this.#notJoined(id));
    if (type === "chat_message") {
      const seq = this.post(roomId, "alice", command.content, command.clientMsgId);
      return this.#send({ type: "accepted", id, clientMsgId: command.clientMsgId, seq });
    }
    this.executed.set(command.key, (this.executed.get(command.key) ?? 0) + 1);
    this.#send({ type: "done", id, key: command.key });
  }

  #notJoined(id) {
    return { type: "error", id, code: "not_joined", message: "not joined" };
  }

  #join({ id, roomId, since, additional }) {
    if (additional !== true) throw new Error("a join that is not additional");
    if (this.banned.has(roomId)) return this.#send({ type: "error", id, code: "banned", message: "banned" });
    const { log, kept } = this.room(roomId);
    this.#joined.add(roomId);
    const joined = { type: "joined", roomId, userId: "alice", additional, seq: log.length, id };
    if (since === undefined) return this.#send(joined);
    const lost = Math.max(0, kept - 1 - since);
    const missed = log.length - since;
    this.#send({ ...joined, recovered: lost === 0, missed, ...(lost > 0 ? { lost } : {}) });
    for (const message of this.kept(roomId)) if (message.seq > since) this.#send(message);
  }
}
