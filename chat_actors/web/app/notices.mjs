/** What reaches whoever is not looking: the title, notifications, and what a screen reader says. */

/** Milliseconds in which messages are said together. */
const TOGETHER = 1_500;

/** Messages that are said word for word; of more, only how many. */
const MOST_SAID = 3;

/** Characters of a message that are said or shown in a notification. */
const MOST_CHARACTERS = 200;

export class Notices {
  #announcer;
  #name;
  /** @type {string[]} */
  #toSay = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} announcer a live region
   * @param {string} name of the page
   */
  constructor(announcer, name) {
    this.#announcer = announcer;
    this.#name = name;
  }

  /**
   * @param {string | null} room
   * @param {number} unread in all rooms
   */
  setTitle(room, unread) {
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${room === null ? "" : `${room} · `}${this.#name}`;
  }

  /** Say it to who listens to the page. @param {string} text */
  say(text) {
    this.#toSay.push(text);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const said = this.#toSay.splice(0);
      this.#announcer.textContent = said.length > MOST_SAID ? `${said.length} new messages` : said.join(". ");
    }, TOGETHER);
  }

  /**
   * Somebody has spoken in a room that one does not look at, or while one does not look at all.
   *
   * @param {string} room
   * @param {string} userId
   * @param {string} content
   * @param {() => void} onClick
   */
  notify(room, userId, content, onClick) {
    if (!this.areOn) return;
    const body = `${userId}: ${content}`.slice(0, MOST_CHARACTERS);
    let notification;
    try {
      notification = new Notification(room, { body, tag: room, icon: "/web/icon.svg" });
    } catch {
      return; // Chrome on Android has the constructor, and throws: it wants a service worker
    }
    notification.onclick = () => {
      window.focus();
      onClick();
      notification.close();
    };
  }

  /** Whether notifications are allowed. */
  get areOn() {
    return "Notification" in window && Notification.permission === "granted";
  }
}
