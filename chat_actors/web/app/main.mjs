/** The page: who one is, where one was, and the parts put together. */

import { connect } from "../client/chat-client.mjs";
import { ChatView } from "./chat-view.mjs";
import { forgetPlaces, loadIdentity, loadPlaces } from "./keyring.mjs";
import { Notices } from "./notices.mjs";
import { isRoomName, MOST_ROOMS, Rooms } from "./rooms.mjs";
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

/** @returns {Promise<import("./welcome.mjs").Arrived>} */
async function arrive() {
  let known;
  try {
    known = await loadIdentity();
  } catch {
    return welcome("This browser keeps nothing for this page: your key would be lost. Let it store data, and try again.");
  }
  if (known !== null) return { ...known, key: null };
  forgetPlaces(); // those of somebody who was forgotten here: each page that they had open kept them as it was closed
  return welcome();
}

const arrived = await arrive();
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
    if (!view.isRead(room)) notices.notify(room.id, message.userId, message.content, () => view.follow(room.id));
  },
  failed: (room, problem) => notices.say(`Not sent in ${room.id}: ${problem}`),
});
/** @type {ChatView} */
const view = new ChatView(rooms, notices);

for (const id of places.rooms.filter(isRoomName).slice(0, MOST_ROOMS)) rooms.add(id);
if (rooms.all.length > 0) rooms.look(rooms.all.find(({ id }) => id === places.current) ?? rooms.all[0]);
if (rooms.all.length === 0 || roomOfAddress()) view.follow(roomOfAddress() || FIRST_ROOM);
settingsView(arrived);
view.show(userId);

window.addEventListener("online", () => chat.hurry());
window.addEventListener("hashchange", () => roomOfAddress() && view.follow(roomOfAddress()));
window.addEventListener("pagehide", () => rooms.keep());
window.addEventListener("beforeunload", (event) => {
  if (rooms.unsent > 0) event.preventDefault(); // what one has said would be lost
});
