/** The way in: a name and one click, or a key file from another device. */

import { connect, exportKey, Identity, Refused } from "../client/chat-client.mjs";
import { keepIdentity, loadIdentity } from "./keyring.mjs";

/** Where one begins who comes without the name of a room. */
export const FIRST_ROOM = "lobby";

const INSECURE = "A key can only be made on a page that comes by https, or from this very computer.";

const NO_SERVER = "The server does not answer. Try again in a moment.";

/** @param {string} origin */
const notAllowed = (origin) =>
  `The server is there, but opens no chat for a page from ${origin}. If that stays so, whoever runs it must allow this ` +
  "address: see allowed_origins in its documentation.";

const NAME = /^[A-Za-z0-9_-]{3,32}$/;

const FIRST = ["quiet", "swift", "amber", "merry", "bold", "lucky", "sunny", "clever"];
const SECOND = ["otter", "heron", "fox", "maple", "comet", "finch", "badger", "willow"];

/**
 * The key as PKCS#8 is there for as long as the page is open after it was made, and nowhere else.
 *
 * @typedef {{identity: Identity, key: Uint8Array<ArrayBuffer> | null, keyFile: string | null}} Arrived
 */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

/**
 * Show the way in, until somebody is at the server.
 *
 * @param {string} [obstacle] why nobody can come in
 * @returns {Promise<Arrived>}
 */
export function welcome(obstacle = window.isSecureContext ? "" : INSECURE) {
  at("welcome").hidden = false;
  const name = at("name");
  if (obstacle) {
    at("start-problem").textContent = obstacle;
    at("start-button").disabled = true;
    at("import").hidden = true;
    return new Promise(() => {});
  }
  name.value = suggestion();
  name.focus();
  name.select();
  return new Promise((resolve) => {
    onSubmit(at("start"), at("start-problem"), async () => {
      checkName(name.value);
      await checkNobody();
      const { identity, key } = await Identity.createWithKey(name.value);
      resolve(await arrive({ identity, key, keyFile: null }));
    });
    onSubmit(at("import-form"), at("import-problem"), async () => {
      const keyFile = await at("key-file").files[0].text();
      const userId = /^The chat key of ([A-Za-z0-9_-]{3,32})$/m.exec(keyFile)?.[1] ?? name.value;
      checkName(userId);
      await checkNobody();
      const identity = await Identity.import(userId, keyFile, at("import-passphrase").value);
      resolve(await arrive({ identity, key: null, keyFile }));
    });
  });
}

/** The file with one's key under a passphrase. @param {Arrived} arrived @param {string} passphrase */
export async function makeKeyFile({ identity, key }, passphrase) {
  if (key === null) throw new Error("the key is not to be had any more");
  return exportKey(identity.userId, key, passphrase);
}

/**
 * Log in once, so that a key is only kept if the server takes it.
 *
 * @param {Arrived} arrived
 */
async function arrive(arrived) {
  const chat = connect(location.origin, arrived.identity);
  try {
    await chat.logIn();
  } catch (error) {
    throw new Error(error instanceof Refused ? explained(error, arrived.identity.userId) : await noChat());
  }
  await keepIdentity(arrived.identity, arrived.keyFile);
  at("welcome").hidden = true;
  return arrived;
}

/** Why there is no chat: a browser tells nobody that the server has refused a WebSocket. */
async function noChat() {
  const isThere = await fetch("/web/icon.svg", { cache: "no-store" }).then(({ ok }) => ok, () => false);
  return isThere ? notAllowed(location.origin) : NO_SERVER;
}

/** @param {Refused} refused @param {string} userId */
function explained({ code, text }, userId) {
  return code === "invalid_signature" ? `${userId} is somebody else's name here. Choose another.` : text;
}

/** @param {string} name */
function checkName(name) {
  if (!NAME.test(name)) throw new Error("A name has 3 to 32 letters, digits, _ or -.");
}

/** Another tab may have been faster: its key would be overwritten, and lost. */
async function checkNobody() {
  const known = await loadIdentity();
  if (known === null) return;
  throw new Error(`In another tab you have become ${known.identity.userId}. Reload this page to be that here as well.`);
}

/** A name for who can not think of one. */
function suggestion() {
  const [first, second, number] = crypto.getRandomValues(new Uint16Array(3));
  return `${FIRST[first % FIRST.length]}-${SECOND[second % SECOND.length]}-${number % 100}`;
}

/**
 * @param {HTMLFormElement} form
 * @param {HTMLElement} problem
 * @param {() => Promise<void>} act
 */
export function onSubmit(form, problem, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
    problem.textContent = "";
    button.disabled = true;
    try {
      await act();
    } catch (error) {
      problem.textContent = error instanceof Error ? error.message : String(error);
    } finally {
      button.disabled = false;
    }
  });
}
