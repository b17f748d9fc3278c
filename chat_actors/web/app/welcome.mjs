/** The login form: a name and one click, or a key file from another device. */

import { AccessRefused, connect, exportKey, Identity } from "../client/chat-client.mjs";
import { keepIdentity, loadIdentity } from "./keyring.mjs";

/** The room that opens if the address names none. */
export const FIRST_ROOM = "lobby";

const INSECURE = "A key can only be made on a page served by https or from this computer.";

const NO_SERVER = "The server does not answer. Try again in a moment.";

/** @param {string} origin */
const notAllowed = (origin) =>
  `The server is running, but it accepts no chat connection from a page of ${origin}. Ask its operator to allow this ` +
  "address: see allowed_origins in the server's documentation.";

const NAME = /^[A-Za-z0-9_-]{3,32}$/;

const FIRST = ["quiet", "swift", "amber", "merry", "bold", "lucky", "sunny", "clever"];
const SECOND = ["otter", "heron", "fox", "maple", "comet", "finch", "badger", "willow"];

/**
 * `key` is the private key as PKCS#8. It exists only in the page that made it, until that page is closed.
 *
 * @typedef {{identity: Identity, key: Uint8Array<ArrayBuffer> | null, keyFile: string | null}} Login
 */

/** @param {string} id @returns {any} */
const at = (id) => document.getElementById(id);

/**
 * Show the login form until a login succeeds.
 *
 * @param {string} [obstacle] the reason, if no login is possible
 * @returns {Promise<Login>}
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
      await checkNoUser();
      const { identity, key } = await Identity.createWithKey(name.value);
      resolve(await logIn({ identity, key, keyFile: null }));
    });
    onSubmit(at("import-form"), at("import-problem"), async () => {
      const keyFile = await at("key-file").files[0].text();
      const userId = /^The chat key of ([A-Za-z0-9_-]{3,32})$/m.exec(keyFile)?.[1] ?? name.value;
      checkName(userId);
      await checkNoUser();
      const identity = await Identity.import(userId, keyFile, at("import-passphrase").value);
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
 * Log in once and then store the key: a key that the server refuses is not stored.
 *
 * @param {Login} login
 */
async function logIn(login) {
  const chat = connect(location.origin, login.identity);
  try {
    await chat.logIn();
  } catch (error) {
    throw new Error(error instanceof AccessRefused ? explain(error, login.identity.userId) : await whyNoChat());
  }
  await keepIdentity(login.identity, login.keyFile);
  at("welcome").hidden = true;
  return login;
}

/** Why the connection failed. Browsers do not tell scripts that the server refused a WebSocket. */
async function whyNoChat() {
  const isUp = await fetch("/web/icon.svg", { cache: "no-store" }).then(({ ok }) => ok, () => false);
  return isUp ? notAllowed(location.origin) : NO_SERVER;
}

/** @param {AccessRefused} refused @param {string} userId */
function explain({ code, text }, userId) {
  return code === "invalid_signature" ? `The name ${userId} is taken. Choose another.` : text;
}

/** @param {string} name */
function checkName(name) {
  if (!NAME.test(name)) throw new Error("A name has 3 to 32 letters, digits, _ or -.");
}

/** Refuse if another tab has stored a key in the meantime: it would be overwritten and lost. */
async function checkNoUser() {
  const known = await loadIdentity();
  if (known === null) return;
  throw new Error(`Another tab has logged in as ${known.identity.userId}. Reload this page to use that name here too.`);
}

/** A random name. */
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
