/** The login form: choose a name and get a new key, or import a key file from another device. */

import { AccessRefused, connect, ConnectionLost, exportKey, Identity } from "../client/chat-client.mjs";
import { loadIdentity, saveIdentity } from "./keyring.mjs";

/** The room that opens if the page's address names none. */
export const FIRST_ROOM = "lobby";

const INSECURE = "A key can only be made on a page served by https or from this computer.";

const NO_SERVER = "The server does not answer. Try again in a moment.";

/** @param {string} origin */
const originRefused = (origin) =>
  `The server is running, but it accepts no chat connection from a page of ${origin}. Ask its operator to allow this ` +
  "address: see allowed_origins in the server's documentation.";

const USER_NAME = /^[A-Za-z0-9_-]{3,32}$/;

const ADJECTIVES = ["quiet", "swift", "amber", "merry", "bold", "lucky", "sunny", "clever"];
const NOUNS = ["otter", "heron", "fox", "maple", "comet", "finch", "badger", "willow"];

/**
 * `key` is the private key as PKCS#8 if this page made it, else null. `keyFile` is the encrypted key file, or null if there
 * is none.
 *
 * @typedef {{identity: Identity, key: Uint8Array<ArrayBuffer> | null, keyFile: string | null}} Login
 * @typedef {import("../client/chat-client.mjs").Chat} Chat
 */

/** @param {string} id @returns {any} */
const byId = (id) => document.getElementById(id);

/**
 * Show the login form until a login succeeds.
 *
 * @param {string} [obstacle] the text to show instead, if no login is possible
 * @returns {Promise<{login: Login, chat: Chat}>} `chat` is connected
 */
export function showLoginForm(obstacle = window.isSecureContext ? "" : INSECURE) {
  byId("welcome").hidden = false;
  const name = byId("name");
  if (obstacle) {
    byId("start-problem").textContent = obstacle;
    byId("start-button").disabled = true;
    byId("import").hidden = true;
    return new Promise(() => {});
  }
  name.value = suggestName();
  name.focus();
  name.select();
  return new Promise((resolve) => {
    onSubmit(byId("start"), byId("start-problem"), async () => {
      checkName(name.value);
      await checkNoStoredIdentity();
      const { identity, key } = await Identity.createWithKey(name.value);
      resolve(await logIn({ identity, key, keyFile: null }));
    });
    onSubmit(byId("import-form"), byId("import-problem"), async () => {
      const keyFile = await byId("key-file").files[0].text();
      const userId = /^The chat key of ([A-Za-z0-9_-]{3,32})$/m.exec(keyFile)?.[1] ?? name.value;
      checkName(userId);
      await checkNoStoredIdentity();
      const identity = await Identity.import(userId, keyFile, byId("import-passphrase").value);
      resolve(await logIn({ identity, key: null, keyFile }));
    });
  });
}

/** Make the encrypted key file. @param {Login} login @param {string} passphrase */
export async function makeKeyFile({ identity, key }, passphrase) {
  if (key === null) throw new Error("the key can no longer be read");
  return exportKey(identity.userId, key, passphrase);
}

/**
 * Log in and then store the key: a key that the server refuses is not stored.
 *
 * @param {Login} login
 */
async function logIn(login) {
  const chat = connect(location.origin, login.identity);
  try {
    await chat.logIn();
  } catch (error) {
    throw new Error(await loginProblem(error, login.identity.userId));
  }
  await saveIdentity(login.identity, login.keyFile).catch((error) => {
    chat.close();
    throw error;
  });
  byId("welcome").hidden = true;
  return { login, chat };
}

/** The reason why a login failed, for people. @param {unknown} error @param {string} userId @returns {Promise<string>} */
export async function loginProblem(error, userId) {
  if (error instanceof AccessRefused) return refusalText(error, userId);
  if (error instanceof ConnectionLost && error.isUnopened) return connectionProblem();
  return error instanceof Error ? error.message : String(error);
}

/** The reason why there was no connection. Scripts cannot see that a server refused the handshake, so probe it over HTTP. */
async function connectionProblem() {
  const isUp = await fetch("/web/icon.svg", { cache: "no-store" }).then(({ ok }) => ok, () => false);
  return isUp ? originRefused(location.origin) : NO_SERVER;
}

/** @param {AccessRefused} refused @param {string} userId */
function refusalText({ code, text }, userId) {
  return code === "invalid_signature" ? `The name ${userId} is taken. Choose another.` : text;
}

/** @param {string} name */
function checkName(name) {
  if (!USER_NAME.test(name)) throw new Error("A name has 3 to 32 letters, digits, _ or -.");
}

/** Throw if another tab has stored a key in the meantime, since saving would overwrite it. */
async function checkNoStoredIdentity() {
  const stored = await loadIdentity();
  if (stored === null) return;
  throw new Error(`Another tab has logged in as ${stored.identity.userId}. Reload this page to use that name here too.`);
}

/** A random user name. */
function suggestName() {
  const [adjective, noun, number] = crypto.getRandomValues(new Uint16Array(3));
  return `${ADJECTIVES[adjective % ADJECTIVES.length]}-${NOUNS[noun % NOUNS.length]}-${number % 100}`;
}

/**
 * Run `act` at each submit, with the button disabled meanwhile. Show its error in `problem`.
 *
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
