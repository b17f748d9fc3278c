/** The page's storage: the user's key in IndexedDB, the open rooms and read positions in localStorage. */

import { Identity } from "../client/chat-client.mjs";

/** @typedef {import("../client/identity.mjs").KeptIdentity} KeptIdentity */

const DATABASE = "chat_actors";
const STORE = "identity";
const ONLY = "me";
const PLACES = "chat_actors.places";

/**
 * The identity, and its encrypted key file if one was made.
 *
 * @typedef {{identity: KeptIdentity, keyFile: string | null}} StoredIdentity
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

/** The user of this browser, or null. */
export async function loadIdentity() {
  const kept = /** @type {StoredIdentity | undefined} */ (await withStore("readonly", (store) => store.get(ONLY)));
  return kept === undefined ? null : { identity: new Identity(kept.identity), keyFile: kept.keyFile };
}

/**
 * @param {Identity} identity
 * @param {string | null} keyFile
 */
export async function saveIdentity(identity, keyFile) {
  await withStore("readwrite", (store) => store.put({ identity: identity.kept, keyFile }, ONLY));
  await navigator.storage?.persist?.(); // keeps the browser from deleting the key when the disk is full
}

/** Delete the key. */
export async function deleteIdentity() {
  await withStore("readwrite", (store) => store.delete(ONLY));
}

/**
 * The open rooms in their order, the current room, and the number of the last message read in each room.
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
  // Not trusted: the user or another version of the page may have written anything there.
  const rooms = Array.isArray(places?.rooms) ? places.rooms.filter(isText) : [];
  const read = /** @type {[string, number][]} */ (
    Object.entries(places?.read ?? {}).filter(([_, seq]) => Number.isSafeInteger(seq))
  );
  return {
    rooms,
    current: isText(places?.current) ? places.current : null,
    read: new Map(read), // a Map, because a room may be named "constructor"
  };
}

/** Delete the open rooms and read positions. */
export function deletePlaces() {
  localStorage.removeItem(PLACES);
}

/** @param {Places} places */
export function savePlaces(places) {
  localStorage.setItem(PLACES, JSON.stringify({ ...places, read: Object.fromEntries(places.read) }));
}
