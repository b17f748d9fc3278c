/** The page's entry point: load the identity and the open rooms, and connect the parts. */

import { connect } from "../client/chat-client.mjs";
import { ChatView } from "./chat-view.mjs";
import { deletePlaces, loadIdentity, loadPlaces } from "./keyring.mjs";
import { Notices } from "./notices.mjs";
import { isRoomName, MAX_ROOMS, Rooms } from "./rooms.mjs";
import { settingsView } from "./settings-view.mjs";
import { FIRST_ROOM, showLoginForm } from "./login-form.mjs";

/** The room in the page's address, as in `/#general`; empty if there is none. */
function roomInAddress() {
  try {
    const id = decodeURIComponent(location.hash.slice(1));
    return isRoomName(id) ? id : "";
  } catch {
    return "";
  }
}

/** @returns {ReturnType<typeof showLoginForm>} */
async function logIn() {
  let known;
  try {
    known = await loadIdentity();
  } catch {
    return showLoginForm("This browser stores no data for this page, so your key would be lost. Allow the page to store data, and try again.");
  }
  if (known !== null) return { login: { ...known, key: null }, chat: connect(location.origin, known.identity) };
  deletePlaces(); // another open page may have stored them again as it closed, after the user was deleted
  return showLoginForm();
}

const { login, chat } = await logIn();
const { userId } = login.identity;
const places = loadPlaces();
const notices = new Notices(/** @type {HTMLElement} */ (document.getElementById("announcer")), "chat_actors");

/** @type {Rooms} */
const rooms = new Rooms(chat, userId, places, {
  changed: () => view.changed(),
  isRead: (room) => view.isRead(room),
  received: (room, message) => {
    if (room === rooms.current) notices.announce(`${message.userId}: ${message.content}`);
    if (!view.isRead(room)) notices.notify(room.id, message.userId, message.content, () => view.follow(room.id));
  },
  failed: (room, problem) => notices.announce(`Not sent in ${room.id}: ${problem}`),
});
/** @type {ChatView} */
const view = new ChatView(rooms, notices);

for (const id of places.rooms.filter(isRoomName).slice(0, MAX_ROOMS)) rooms.add(id);
if (rooms.all.length > 0) rooms.select(rooms.all.find(({ id }) => id === places.current) ?? rooms.all[0]);
if (rooms.all.length === 0 || roomInAddress()) view.follow(roomInAddress() || FIRST_ROOM);
settingsView(login);
view.show(userId);

window.addEventListener("online", () => chat.hurry());
window.addEventListener("hashchange", () => roomInAddress() && view.follow(roomInAddress()));
window.addEventListener("pagehide", () => rooms.keep());
window.addEventListener("beforeunload", (event) => {
  if (rooms.unsent > 0) event.preventDefault(); // closing the page now would lose unsent messages
});
