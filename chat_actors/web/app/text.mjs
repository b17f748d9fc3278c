/** User text as DOM nodes. It is never parsed as HTML. */

const LINK = /\bhttps?:\/\/[^\s<>"'`\u0000-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]+/giu;

/** Punctuation that ends a sentence, not a link. */
const TRAILING = /[.,;:!?)\]}]+$/;

/**
 * Turn the links in a text into anchors. The linked page gets no referrer and no access to this window.
 *
 * @param {string} text
 * @returns {Node[]}
 */
export function linked(text) {
  const nodes = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    const address = withoutTrailing(match[0]);
    const url = parsed(address);
    if (url === null) continue;
    nodes.push(document.createTextNode(text.slice(end, match.index)), link(address, url));
    end = match.index + address.length;
  }
  nodes.push(document.createTextNode(text.slice(end)));
  return nodes;
}

/**
 * @param {string} address the link as the user wrote it
 * @param {URL} url
 */
function link(address, url) {
  const anchor = document.createElement("a");
  anchor.href = url.href;
  anchor.target = "_blank";
  anchor.rel = "noopener noreferrer nofollow";
  anchor.dir = "ltr";
  // Show the real host after one with look-alike characters: "аpple.com" with a Cyrillic а is xn--pple-43d.com.
  anchor.textContent = /^[\x21-\x7e]+$/.test(address.split("/")[2] ?? "") ? address : `${address} (${url.host})`;
  return anchor;
}

/** Strip trailing punctuation, but keep a closing bracket that was opened in the link. @param {string} address */
function withoutTrailing(address) {
  const stripped = address.replace(TRAILING, "");
  return address.startsWith(`${stripped})`) && stripped.includes("(") ? `${stripped})` : stripped;
}

/** @param {string} address */
function parsed(address) {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}

/**
 * Make an element with a class and contents.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {...(Node | string)} contents
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, className, ...contents) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...contents);
  return made;
}

/** A name that does not affect the text direction around it. @param {string} name */
export function bdi(name) {
  return element("bdi", "", name);
}
