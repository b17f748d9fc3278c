/** Notices outside the timeline: the page title, notifications, and announcements for screen readers. */

/** Milliseconds for which announcements are collected, so that a burst of messages is announced once. */
const COLLECTING_TIME = 1_500;

/** The most messages that are announced in full. If there are more, only their number is announced. */
const MAX_ANNOUNCED = 3;

/** The most UTF-16 code units of text in a notification. */
const MAX_NOTIFICATION_LENGTH = 200;

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
   * Show the current room and the number of unread messages in the page's title.
   *
   * @param {string | null} room null: no room is open
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
    }, COLLECTING_TIME);
  }

  /**
   * Notify the user of a message that is not visible, if the user has allowed notifications.
   *
   * @param {string} room
   * @param {string} userId
   * @param {string} content
   * @param {() => void} onClick called when the user clicks the notification
   */
  notify(room, userId, content, onClick) {
    if (!this.areAllowed) return;
    const body = `${userId}: ${content}`.slice(0, MAX_NOTIFICATION_LENGTH);
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
  get areAllowed() {
    return "Notification" in window && Notification.permission === "granted";
  }
}
