/** A user: a name and a key pair. */

import { decryptKey, encryptKey } from "./encrypted-key.mjs";
import { toBase64, toPem } from "./encoding.mjs";

/** What the server's users sign with: RSASSA-PKCS1-v1_5 and SHA-256. */
const SCHEME = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** Good beyond 2030 (NIST SP 800-57, table 2). */
const BITS = 3072;

/**
 * What can be kept in IndexedDB: a CryptoKey is stored there without being read.
 *
 * @typedef {{userId: string, privateKey: CryptoKey, publicPem: string}} KeptIdentity
 */

/** A user who can prove to be that user. The private key is not extractable: no script can read it, only use it. */
export class Identity {
  /** @type {string} */
  userId;
  /** @type {CryptoKey} */
  #privateKey;
  /** @type {string} */
  #publicPem;

  /** @param {KeptIdentity} kept */
  constructor({ userId, privateKey, publicPem }) {
    this.userId = userId;
    this.#privateKey = privateKey;
    this.#publicPem = publicPem;
  }

  /**
   * Make a key pair.
   *
   * @param {string} userId 3 to 32 letters, digits, `_` or `-`
   */
  static async create(userId) {
    return (await Identity.createWithKey(userId)).identity;
  }

  /**
   * Make a key pair, and have its private key this once, as PKCS#8, to be kept elsewhere.
   *
   * @param {string} userId
   */
  static async createWithKey(userId) {
    const parameters = { ...SCHEME, modulusLength: BITS, publicExponent: new Uint8Array([1, 0, 1]) };
    const pair = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]);
    const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
    return { identity: await Identity.fromKey(userId, key), key };
  }

  /**
   * A user whose key there is already, as PKCS#8.
   *
   * @param {string} userId
   * @param {Uint8Array<ArrayBuffer>} key
   */
  static async fromKey(userId, key) {
    // The public half can only be had through a key that is extractable; what is kept is not.
    const readable = await crypto.subtle.importKey("pkcs8", key, SCHEME, true, ["sign"]);
    const { n, e } = await crypto.subtle.exportKey("jwk", readable);
    const publicKey = await crypto.subtle.importKey("jwk", { kty: "RSA", n, e }, SCHEME, true, ["verify"]);
    return new Identity({
      userId,
      privateKey: await crypto.subtle.importKey("pkcs8", key, SCHEME, false, ["sign"]),
      publicPem: toPem("PUBLIC KEY", new Uint8Array(await crypto.subtle.exportKey("spki", publicKey))),
    });
  }

  /**
   * The user of an encrypted key file, as `exportKey` and OpenSSL write it. Throws `WrongPassphrase`, `SyntaxError`.
   *
   * @param {string} userId
   * @param {string} pem
   * @param {string} passphrase
   */
  static async import(userId, pem, passphrase) {
    return Identity.fromKey(userId, await decryptKey(pem, passphrase));
  }

  /** What can be kept in IndexedDB, and given to the constructor. @returns {KeptIdentity} */
  get kept() {
    return { userId: this.userId, privateKey: this.#privateKey, publicPem: this.#publicPem };
  }

  /** The public key, in PEM. */
  get publicPem() {
    return this.#publicPem;
  }

  /**
   * The signature of a challenge, both in base64.
   *
   * @param {Uint8Array<ArrayBuffer>} challenge
   */
  async sign(challenge) {
    return toBase64(new Uint8Array(await crypto.subtle.sign(SCHEME.name, this.#privateKey, challenge)));
  }
}

/**
 * The file that moves a user to another device: their key, encrypted. `chat-actors chat --key` and OpenSSL read it too.
 *
 * @param {string} userId
 * @param {Uint8Array<ArrayBuffer>} key PKCS#8
 * @param {string} passphrase
 */
export async function exportKey(userId, key, passphrase) {
  return `The chat key of ${userId}\n${await encryptKey(key, passphrase)}`;
}
