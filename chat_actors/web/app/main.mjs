/** The page: who one is, where one was, and the parts put together. */

import { connect } from "../client/chat-client.mjs";
import { ChatView } from "./chat-view.mjs";
import { loadIdentity, loadPlaces } from "./keyring.mjs";
import { Notices } from "./notices.mjs";
import { isRoomName, Rooms } from "./rooms.mjs";
import { settingsView } from "./settings-view.mjs";
import { FIRST_ROOM, welcome } from "./welcome.mjs";

/** The room that the address names, as in `/#general`; empty if it names none. */
function roomOfAddress() {
  try {
    const id = decodeURIComponent(location.hash.slice(1));
    return isRoomName(id) ? id : "";
  } catch {
    return "";
  }
}

const known = await loadIdentity();
const arrived = known === null ? await welcome() : { ...known, key: null };
const { userId } = arrived.identity;
const places = loadPlaces();
const chat = connect(location.origin, arrived.identity);
const notices = new Notices(/** @type {HTMLElement} */ (document.getElementById("announcer")), "chat_actors");

/** @type {Rooms} */
const rooms = new Rooms(chat, userId, places, {
  changed: () => view.changed(),
  isRead: (room) => view.isRead(room),
  heard: (room, message) => {
    if (room === rooms.current) notices.say(`${message.userId}: ${message.content}`);
    if (!view.isRead(room)) notices.notify(room.id, message.userId, message.content, () => rooms.look(room));
  },
});
/** @type {ChatView} */
const view = new ChatView(rooms, notices);

for (const id of places.rooms) rooms.add(id);
rooms.open(roomOfAddress() || places.current || places.rooms[0] || FIRST_ROOM);
settingsView(arrived);
view.show(userId);

window.addEventListener("online", () => chat.hurry());
window.addEventListener("hashchange", () => roomOfAddress() && rooms.open(roomOfAddress()));
window.addEventListener("pagehide", () => rooms.keep());
window.addEventListener("beforeunload", (event) => {
  if (rooms.unsent > 0) event.preventDefault(); // what one has said would be lost
});
