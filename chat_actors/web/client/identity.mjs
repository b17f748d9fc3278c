/** A user: a name and a key pair. */

import { decryptKey, encryptKey } from "./encrypted-key.mjs";
import { toBase64, toPem } from "./encoding.mjs";

/** The signature scheme: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, section 8.2). */
const SCHEME = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };

/** Recommended beyond 2030 (NIST SP 800-57 part 1, table 2). */
const BITS = 3072;

/**
 * The form that IndexedDB can store. It stores a CryptoKey without exposing its bytes.
 *
 * @typedef {{userId: string, privateKey: CryptoKey, publicPem: string}} KeptIdentity
 */

/** A user name with its key pair. The private key is not extractable: a script can use it, but not read it. */
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
   * Make a key pair and return its private key as PKCS#8, to be kept elsewhere. It cannot be read later.
   *
   * @param {string} userId as for `create`
   */
  static async createWithKey(userId) {
    const parameters = { ...SCHEME, modulusLength: BITS, publicExponent: new Uint8Array([1, 0, 1]) };
    const pair = await crypto.subtle.generateKey(parameters, true, ["sign", "verify"]);
    const key = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
    return { identity: await Identity.fromKey(userId, key), key };
  }

  /**
   * Load a key that exists already.
   *
   * @param {string} userId
   * @param {Uint8Array<ArrayBuffer>} key PKCS#8
   */
  static async fromKey(userId, key) {
    // Only an extractable key gives its public half. The key that is kept is not extractable.
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
   * Load a key from an encrypted key file, as `exportKey` and OpenSSL write it.
   *
   * @param {string} userId
   * @param {string} pem
   * @param {string} passphrase
   * @throws {WrongPassphrase} if the passphrase is wrong or the file is damaged
   * @throws {SyntaxError} if the file is not an encrypted key
   */
  static async import(userId, pem, passphrase) {
    return Identity.fromKey(userId, await decryptKey(pem, passphrase));
  }

  /** The form for IndexedDB, from which the constructor restores the identity. @returns {KeptIdentity} */
  get kept() {
    return { userId: this.userId, privateKey: this.#privateKey, publicPem: this.#publicPem };
  }

  /** The public key, in PEM. */
  get publicPem() {
    return this.#publicPem;
  }

  /**
   * Sign a challenge.
   *
   * @param {Uint8Array<ArrayBuffer>} challenge
   * @returns {Promise<string>} the signature in base64
   */
  async sign(challenge) {
    return toBase64(new Uint8Array(await crypto.subtle.sign(SCHEME.name, this.#privateKey, challenge)));
  }
}

/**
 * Make the encrypted key file that moves a user to another device. `chat-actors chat --key` and OpenSSL read it too.
 *
 * @param {string} userId
 * @param {Uint8Array<ArrayBuffer>} key PKCS#8
 * @param {string} passphrase
 * @returns {Promise<string>} PEM, after a line with the user's name
 */
export async function exportKey(userId, key, passphrase) {
  return `The chat key of ${userId}\n${await encryptKey(key, passphrase)}`;
}
