/**
 * A private key encrypted with a passphrase, in the format that OpenSSL writes: "ENCRYPTED PRIVATE KEY" in PEM
 * (RFC 5958, section 3), PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC (RFC 8018, sections 6.2 and A.2 to A.4).
 */

import { fromPem, toPem } from "./encoding.mjs";

const LABEL = "ENCRYPTED PRIVATE KEY";

/** Iterations of PBKDF2 for new files: OWASP Password Storage Cheat Sheet, 2023, for PBKDF2-HMAC-SHA256. */
const ITERATIONS = 600_000;

/** The most iterations of a file that is read: ten times those of new files, which takes a few seconds. */
const MAX_ITERATIONS = 6_000_000;

const OID = {
  pbes2: "06092a864886f70d01050d",
  pbkdf2: "06092a864886f70d01050c",
  hmacWithSha256: "06082a864886f70d0209",
  aes256Cbc: "060960864801650304012a",
};

const INTEGER = 0x02;
const OCTETS = 0x04;
const SEQUENCE = 0x30;

/** The passphrase is wrong, or the file is damaged. */
export class WrongPassphrase extends Error {
  constructor() {
    super("this passphrase does not open the key file");
    this.name = "WrongPassphrase";
  }
}

/**
 * Encrypt a key.
 *
 * @param {Uint8Array<ArrayBuffer>} key PKCS#8
 * @param {string} passphrase
 * @returns {Promise<string>} PEM
 */
export async function encryptKey(key, passphrase) {
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const iv = crypto.getRandomValues(new Uint8Array(16));
  const secret = await derive(passphrase, salt, ITERATIONS);
  const encrypted = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-CBC", iv }, secret, key));
  const prf = der(SEQUENCE, fromHex(OID.hmacWithSha256), Uint8Array.of(0x05, 0));
  const derivation = der(
    SEQUENCE,
    fromHex(OID.pbkdf2),
    der(SEQUENCE, der(OCTETS, salt), der(INTEGER, integer(ITERATIONS)), prf),
  );
  const cipher = der(SEQUENCE, fromHex(OID.aes256Cbc), der(OCTETS, iv));
  const scheme = der(SEQUENCE, fromHex(OID.pbes2), der(SEQUENCE, derivation, cipher));
  return toPem(LABEL, der(SEQUENCE, scheme, der(OCTETS, encrypted)));
}

/**
 * Decrypt a key.
 *
 * @param {string} pem
 * @param {string} passphrase
 * @returns {Promise<Uint8Array<ArrayBuffer>>} PKCS#8
 * @throws {WrongPassphrase} if the passphrase is wrong or the file is damaged
 * @throws {SyntaxError} if the file is not an encrypted key, or encrypted in another way
 */
export async function decryptKey(pem, passphrase) {
  const bytes = fromPem(LABEL, pem);
  if (bytes === null) throw new SyntaxError("not an encrypted key file: it has no ENCRYPTED PRIVATE KEY in PEM");
  const { salt, iterations, iv, encrypted } = parse(bytes);
  const secret = await derive(passphrase, salt, iterations);
  let key;
  try {
    key = new Uint8Array(await crypto.subtle.decrypt({ name: "AES-CBC", iv }, secret, encrypted));
  } catch {
    throw new WrongPassphrase(); // the padding is wrong
  }
  // With one wrong passphrase in 256 the padding is valid by chance, so check the header of the PKCS#8 structure too.
  if (key[0] !== SEQUENCE || key[1] !== 0x82 || key.length !== 4 + key[2] * 256 + key[3]) throw new WrongPassphrase();
  return key;
}

/**
 * Derive the AES key from the passphrase.
 *
 * @param {string} passphrase
 * @param {Uint8Array<ArrayBuffer>} salt
 * @param {number} iterations
 */
async function derive(passphrase, salt, iterations) {
  const material = await crypto.subtle.importKey("raw", new TextEncoder().encode(passphrase), "PBKDF2", false, [
    "deriveKey",
  ]);
  const aes = { name: "AES-CBC", length: 256 };
  return crypto.subtle.deriveKey({ name: "PBKDF2", hash: "SHA-256", salt, iterations }, material, aes, false, [
    "encrypt",
    "decrypt",
  ]);
}

/** Parse the DER structure (RFC 5958 and RFC 8018). @param {Uint8Array<ArrayBuffer>} bytes */
function parse(bytes) {
  const unsupported = new SyntaxError("this key file is encrypted in another way; expected PBKDF2-HMAC-SHA-256 and AES-256-CBC");
  const [scheme, encrypted] = children(bytes, SEQUENCE);
  const [pbes2, parameters] = children(scheme, SEQUENCE);
  if (toHex(pbes2) !== OID.pbes2) throw unsupported;
  const [derivation, cipher] = children(parameters, SEQUENCE);
  const [pbkdf2, derivationParameters] = children(derivation, SEQUENCE);
  const [aes, iv] = children(cipher, SEQUENCE);
  if (toHex(pbkdf2) !== OID.pbkdf2 || toHex(aes) !== OID.aes256Cbc) throw unsupported;
  const [salt, count, ...rest] = children(derivationParameters, SEQUENCE);
  const prf = rest.at(-1); // the optional key length may precede it
  if (prf === undefined || toHex(children(prf, SEQUENCE)[0]) !== OID.hmacWithSha256) throw unsupported;
  const iterations = value(count, INTEGER).reduce((number, byte) => number * 256 + byte, 0);
  if (iterations < 1 || iterations > MAX_ITERATIONS) throw unsupported;
  return { salt: value(salt, OCTETS), iterations, iv: value(iv, OCTETS), encrypted: value(encrypted, OCTETS) };
}

// -- DER (X.690), the subset needed above: one-byte tags, lengths below 2^24 ---------------------------------------------

/**
 * @param {number} tag
 * @param {...Uint8Array} contents
 */
function der(tag, ...contents) {
  const length = contents.reduce((sum, content) => sum + content.length, 0);
  const head = length < 0x80 ? [tag, length] : [tag, 0x80 | integer(length, false).length, ...integer(length, false)];
  const bytes = new Uint8Array(head.length + length);
  bytes.set(head);
  let at = head.length;
  for (const content of contents) {
    bytes.set(content, at);
    at += content.length;
  }
  return bytes;
}

/** The big-endian bytes of a number. A signed one gets a leading zero byte if its first bit is set (X.690, section 8.3). */
function integer(/** @type {number} */ number, isSigned = true) {
  const bytes = [];
  for (let rest = number; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  if (isSigned && (bytes[0] ?? 0x80) & 0x80) bytes.unshift(0);
  return Uint8Array.from(bytes);
}

/**
 * The offsets of the first element: the start of its content, and its end.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
function element(bytes) {
  let start = 2;
  let length = bytes[1];
  if (length > 0x80) {
    start += length & 0x7f;
    length = bytes.subarray(2, start).reduce((number, byte) => number * 256 + byte, 0);
  }
  if (!(start + length <= bytes.length)) throw new SyntaxError("this key file is damaged");
  return { start, end: start + length };
}

/**
 * The content of an element.
 *
 * @param {Uint8Array<ArrayBuffer> | undefined} bytes one element
 * @param {number} tag the tag that it must have
 */
function value(bytes, tag) {
  if (bytes?.[0] !== tag) throw new SyntaxError("this key file is damaged");
  const { start, end } = element(bytes);
  return bytes.subarray(start, end);
}

/**
 * The elements in a sequence.
 *
 * @param {Uint8Array<ArrayBuffer> | undefined} bytes the sequence
 * @param {number} tag
 */
function children(bytes, tag) {
  const found = [];
  for (let rest = value(bytes, tag); rest.length > 0; ) {
    const { end } = element(rest);
    found.push(rest.subarray(0, end));
    rest = rest.subarray(end);
  }
  return found;
}

/** @param {string} hex */
function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

/** @param {Uint8Array} [bytes] */
function toHex(bytes) {
  return Array.from(bytes ?? [], (byte) => byte.toString(16).padStart(2, "0")).join("");
}
