/** Notices outside the timeline: the title, notifications, and the announcements of screen readers. */

/** Milliseconds over which announcements are collected. */
const COLLECT = 1_500;

/** The most messages that are announced in full. More are only counted. */
const MAX_ANNOUNCED = 3;

/** The most characters of a message in a notification. */
const MAX_CHARACTERS = 200;

export class Notices {
  #announcer;
  #name;
  /** @type {string[]} */
  #pending = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLElement} announcer a live region
   * @param {string} name the page's name
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

  /** Announce a text to screen readers. @param {string} text */
  announce(text) {
    this.#pending.push(text);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      const texts = this.#pending.splice(0);
      this.#announcer.textContent = texts.length > MAX_ANNOUNCED ? `${texts.length} new messages` : texts.join(". ");
    }, COLLECT);
  }

  /**
   * Notify the user of a message that is not visible.
   *
   * @param {string} room
   * @param {string} userId
   * @param {string} content
   * @param {() => void} onClick
   */
  notify(room, userId, content, onClick) {
    if (!this.areOn) return;
    const body = `${userId}: ${content}`.slice(0, MAX_CHARACTERS);
    let notification;
    try {
      notification = new Notification(room, { body, tag: room, icon: "/web/icon.svg" });
    } catch {
      return; // on Android, Chrome's constructor throws: it requires a service worker
    }
    notification.onclick = () => {
      window.focus();
      onClick();
      notification.close();
    };
  }

  /** Whether the user has allowed notifications. */
  get areOn() {
    return "Notification" in window && Notification.permission === "granted";
  }
}
