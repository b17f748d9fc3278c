/** Bytes as text, base64 and PEM; and commands and messages as the texts of frames. */

/** @typedef {import("./event-queue.mjs").ServerMessage} ServerMessage */

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/**
 * @param {string} text
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/**
 * Encode as PEM (RFC 7468).
 *
 * @param {string} label
 * @param {Uint8Array} bytes
 */
export function toPem(label, bytes) {
  const lines = toBase64(bytes).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}

/**
 * Decode the first PEM block with this label, or return null. Text outside the block is ignored (RFC 7468, section 2).
 *
 * @param {string} label
 * @param {string} pem
 */
export function fromPem(label, pem) {
  const match = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]+)-----END ${label}-----`).exec(pem);
  if (match === null) return null;
  try {
    return fromBase64(match[1].replace(/\s/g, ""));
  } catch {
    return null; // invalid base64
  }
}

/** Encode a command. U+FFFD replaces a lone surrogate, which the server could not decode. @param {Record<string, unknown>} command */
export function encode(command) {
  return JSON.stringify(command, (_, value) => (typeof value === "string" ? value.replace(/\p{Surrogate}/gu, "\ufffd") : value));
}

/** Decode a message. A text that is not a message is null. @param {string} text @returns {ServerMessage | null} */
export function decode(text) {
  try {
    const message = JSON.parse(text);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}

/** Whether a text is longer than this number of bytes in UTF-8. @param {string} text @param {number} bytes */
export function isLongerThan(text, bytes) {
  return text.length * 3 > bytes && new TextEncoder().encode(text).length > bytes;
}
