/** What this browser keeps: the user's key in IndexedDB, and which rooms are open and read in localStorage. */

import { Identity } from "../client/chat-client.mjs";

/** @typedef {import("../client/identity.mjs").KeptIdentity} KeptIdentity */

const DATABASE = "chat_actors";
const STORE = "identity";
const ONLY = "me";
const PLACES = "chat_actors.places";

/**
 * The identity, and the encrypted key file if one has been made.
 *
 * @typedef {{identity: KeptIdentity, keyFile: string | null}} Kept
 */

/** @returns {Promise<IDBDatabase>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/**
 * @template T
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest<T>} act
 * @returns {Promise<T>}
 */
async function withStore(mode, act) {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = act(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
}

/** Who one is in this browser, or null. */
export async function loadIdentity() {
  const kept = /** @type {Kept | undefined} */ (await withStore("readonly", (store) => store.get(ONLY)));
  return kept === undefined ? null : { identity: new Identity(kept.identity), keyFile: kept.keyFile };
}

/**
 * @param {Identity} identity
 * @param {string | null} keyFile
 */
export async function keepIdentity(identity, keyFile) {
  await withStore("readwrite", (store) => store.put({ identity: identity.kept, keyFile }, ONLY));
  await navigator.storage?.persist?.(); // so that the browser does not clear the key away when the disk is full
}

/** Forget the key. */
export async function forgetIdentity() {
  await withStore("readwrite", (store) => store.delete(ONLY));
}

/**
 * Which rooms are open, in their order; which is looked at; and up to which number each has been read.
 *
 * @typedef {{rooms: string[], current: string | null, read: Map<string, number>}} Places
 */

/** @param {unknown} value */
const isText = (value) => typeof value === "string";

/** @returns {Places} */
export function loadPlaces() {
  /** @type {any} */
  let places;
  try {
    places = JSON.parse(localStorage.getItem(PLACES) ?? "{}");
  } catch {
    places = {};
  }
  // Who has the page can write there what they like, and another version of it may have written something else.
  const rooms = Array.isArray(places?.rooms) ? places.rooms.filter(isText) : [];
  const read = /** @type {[string, number][]} */ (
    Object.entries(places?.read ?? {}).filter(([_, seq]) => Number.isSafeInteger(seq))
  );
  return {
    rooms,
    current: isText(places?.current) ? places.current : null,
    read: new Map(read), // a room may be called "constructor", which every object has
  };
}

/** Forget where one was. */
export function forgetPlaces() {
  localStorage.removeItem(PLACES);
}

/** @param {Places} places */
export function keepPlaces(places) {
  localStorage.setItem(PLACES, JSON.stringify({ ...places, read: Object.fromEntries(places.read) }));
}
