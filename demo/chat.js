/** What is said in the room: the log, the field, and what is still on its way. */

import { byId, h } from "./dom.js";
import { t } from "./i18n.js";
import { silenced } from "./moderation.js";
import { problemText } from "./problems.js";
import { seatColour } from "./seats.js";
import { announce, toast } from "./toasts.js";

const KEPT_LINES = 200;

/** @typedef {import("vchat-client").RoomClient} RoomClient */

export class Chat {
  #log = byId("log");
  #lines = byId("lines");
  #form = /** @type {HTMLFormElement} */ (byId("say"));
  #input = /** @type {HTMLInputElement} */ (byId("chat-input"));
  #button = /** @type {HTMLButtonElement} */ (byId("chat-send"));
  #room;
  #onUnread;
  #off = new AbortController();
  /** Lines of one's own that have no answer yet, by text, oldest first. @type {HTMLElement[]} */
  #waiting = [];
  #unread = 0;
  /** Until then the room takes nothing of ours. */
  #heldUntil = 0;
  #timer = 0;

  /** @param {RoomClient} room @param {(count: number) => void} onUnread */
  constructor(room, onUnread) {
    this.#room = room;
    this.#onUnread = onUnread;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#send(this.#input.value.trim());
    }, { signal: this.#off.signal });
    this.fill();
    this.permit();
  }

  /** Let write who may: after the members or the state changed. */
  permit() {
    const { members, seat, state } = this.#room;
    const why = state === "refused" || state === "left" ? "state.refused" : silenced(members.get(seat ?? -1));
    if (why && document.activeElement === this.#input) this.#log.focus(); // a field that is off would drop the keyboard
    for (const control of [this.#input, this.#button]) control.disabled = why !== null;
    for (const attribute of ["placeholder", "aria-label"]) {
      this.#input.setAttribute(`data-i18n-${attribute}`, why ?? "chat.placeholder");
      this.#input.setAttribute(attribute, t(why ?? "chat.placeholder"));
    }
  }

  /** Show the history anew. */
  fill() {
    this.#lines.replaceChildren();
    this.#waiting = []; // what of it was stored is in the history, the rest comes as it is stored
    for (const event of this.#room.history) this.#line(event);
    if (!this.#lines.childElementCount) this.#lines.append(h("li", { class: "note empty" }, t("chat.empty")));
  }

  /** @param {{seat: number, userId: string, name: string, text: string, time: number}} event */
  said(event) {
    const own = event.userId === this.#room.user?.id;
    if (own) this.#waiting.shift()?.remove();
    this.#line(event);
    if (own) return;
    announce(`${event.name}: ${event.text}`);
    if (this.#hidden) this.#onUnread(++this.#unread);
  }

  /** @param {string} text news that is nobody's words @param {{aloud?: boolean}} [how] */
  note(text, { aloud = true } = {}) {
    this.#append(h("li", { class: "note" }, text));
    if (aloud) announce(text);
  }

  /** The room takes nothing of ours for a while. @param {number} ms */
  hold(ms) {
    this.#heldUntil = Math.max(this.#heldUntil, performance.now() + ms);
    this.#showWaiting();
  }

  focus() { this.#input.focus(); }

  read() {
    this.#unread = 0;
    this.#onUnread(0);
    this.#log.scrollTop = this.#log.scrollHeight;
  }

  close() {
    this.#off.abort();
    clearTimeout(this.#timer);
  }

  get #hidden() { return this.#log.offsetParent === null; }

  /** @param {string} text */
  async #send(text) {
    if (!text) return;
    this.#input.value = "";
    const line = this.#append(h("li", { class: "said own waiting" }, h("span", { class: "words" }, text), h("small")));
    this.#waiting.push(line);
    this.#showWaiting();
    try {
      await this.#room.sendChat(text);
    } catch (error) {
      this.#waiting = this.#waiting.filter((other) => other !== line);
      if (!this.#off.signal.aborted) {
        line.classList.replace("waiting", "failed");
        /** @type {HTMLElement} */ (line.lastElementChild).textContent = t("chat.failed");
        if (this.#room.state !== "refused") toast(problemText(error), "bad"); // else that is told once, for all of them
      }
    }
  }

  /** Say what lines of one's own wait for, and how long. */
  #showWaiting() {
    clearTimeout(this.#timer);
    const seconds = Math.ceil((this.#heldUntil - performance.now()) / 1000);
    const slow = seconds > 0 && (this.#room.room?.slowModeS ?? 0) > 0;
    for (const { lastElementChild: says } of this.#waiting) if (says) says.textContent = slow ? t("chat.slow", { seconds }) : t("chat.pending");
    if (slow && this.#waiting.length) this.#timer = setTimeout(() => this.#showWaiting(), 1_000);
  }

  /** @param {{seat: number, userId: string, name: string, text: string, time: number}} event */
  #line({ seat, userId, name, text, time }) {
    const own = userId === this.#room.user?.id;
    const at = new Date(time);
    const who = h("b", {}, name);
    const line = h("li", { class: own ? "said own" : "said" },
      h("span", { class: "who" }, who, " ", h("time", { datetime: at.toISOString() }, at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }))),
      h("span", { class: "words" }, text));
    line.style.setProperty("--seat", seatColour(seat));
    this.#append(line);
  }

  /** @param {HTMLElement} line */
  #append(line) {
    const atEnd = this.#log.scrollHeight - this.#log.scrollTop - this.#log.clientHeight < 60;
    this.#lines.querySelector(".empty")?.remove();
    const before = line.classList.contains("waiting") ? null : this.#lines.querySelector(".waiting");
    this.#lines.insertBefore(line, before);
    while (this.#lines.childElementCount > KEPT_LINES) this.#lines.firstElementChild?.remove();
    if (atEnd) this.#log.scrollTop = this.#log.scrollHeight;
    return line;
  }
}
