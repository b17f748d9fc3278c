/**
 * A chat_actors client for browsers and for Node 20 and later. No dependencies.
 *
 *     import { connect, Identity } from "./chat-client.mjs";
 *
 *     const identity = await Identity.create("alice"); // to keep the key: createWithKey, fromKey
 *     const chat = connect("wss://chat.example", identity);
 *     const room = await chat.join("lobby");
 *     await room.say("Hello!");
 *     for await (const event of room) {
 *       if (event.type === "chat_message") console.log(event.userId, event.content);
 *     }
 *
 * @module
 */

export { Backoff } from "./backoff.mjs";
export { Chat, connect } from "./chat.mjs";
export { Conversation } from "./conversation.mjs";
export { decryptKey, encryptKey, WrongPassphrase } from "./encrypted-key.mjs";
export { AccessRefused, CommandRefused, ConnectionLost, ServerTooOld, TooMuchUnsent, Unanswered } from "./errors.mjs";
export { exportKey, Identity } from "./identity.mjs";
export { Room } from "./room.mjs";
export { RoomConversation } from "./room-conversation.mjs";
