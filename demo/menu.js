/** A list of acts behind a button: nothing is done before one of them is pressed, and what does harm asks first. */

import { h } from "./dom.js";
import { t } from "./i18n.js";

const GAP_PX = 6;

/** @typedef {{text: string, sure?: string, act: () => void}} Entry `sure`: what is asked before it is done */

export class Menu {
  root = h("span", { class: "menu" });
  #list = h("div", { class: "acts", role: "group", popover: "auto" });
  #button;
  /** @type {Entry[]} */
  #entries = [];
  /** What the list is open with: it is made anew only when that changes. */
  #shown = "";

  /** @param {string} testId */
  constructor(testId) {
    this.#button = h("button", { type: "button", class: "quiet more", "data-testid": testId }, "⋯");
    this.#button.popoverTargetElement = this.#list;
    this.#list.addEventListener("beforetoggle", (event) => this.#toggle(/** @type {ToggleEvent} */ (event).newState === "open"));
    this.#list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** What is on offer now; without any there is no button. @param {string} label @param {Entry[]} entries */
  offer(label, entries) {
    this.#entries = entries;
    for (const element of [this.#button, this.#list]) element.setAttribute("aria-label", label);
    this.#button.title = label;
    if (!entries.length) this.root.replaceChildren();
    else if (!this.root.childElementCount) this.root.append(this.#button, this.#list);
    if (this.#shown && this.#shown !== this.#texts) this.#fill();
  }

  get #texts() { return this.#entries.map(({ text }) => text).join("\n"); }

  /** @param {boolean} open */
  #toggle(open) {
    this.#shown = "";
    if (!open) return;
    this.#place();
    this.#fill();
  }

  /** Under the button, or over it where there is more room. */
  #place() {
    const { right, top, bottom } = this.#button.getBoundingClientRect();
    const under = top + bottom < innerHeight;
    Object.assign(this.#list.style, {
      right: `${innerWidth - right}px`,
      top: under ? `${bottom + GAP_PX}px` : "auto",
      bottom: under ? "auto" : `${innerHeight - top + GAP_PX}px`,
      maxHeight: `${(under ? innerHeight - bottom : top) - 2 * GAP_PX}px`,
    });
  }

  #fill() {
    this.#shown = this.#texts;
    this.#turnTo(this.#entries.map(({ text }, i) => this.#item(text, "", () => this.#press(this.#entries[i]))));
  }

  /** @param {Entry} entry */
  #press(entry) {
    if (!entry.sure) return this.#do(entry);
    // The keyboard is at the way out: who presses Enter twice has done nothing.
    this.#turnTo([this.#item(t("cancel"), "", () => this.#list.hidePopover()), this.#item(entry.text, "danger", () => this.#do(entry))], entry.sure);
  }

  /** @param {Entry} entry */
  #do(entry) {
    this.#list.hidePopover();
    entry.act();
  }

  /** @param {HTMLButtonElement[]} buttons the first gets the keyboard, if the list has it @param {string} [question] */
  #turnTo(buttons, question) {
    const had = this.#list.contains(document.activeElement);
    this.#list.replaceChildren(...(question ? [h("p", { role: "alert" }, question)] : []), ...buttons);
    buttons[0]?.setAttribute("autofocus", ""); // for a list that is about to open
    if (had) buttons[0]?.focus();
  }

  /** @param {string} text @param {string} kind @param {() => void} onclick */
  #item(text, kind, onclick) { return h("button", { type: "button", class: kind, onclick }, text); }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const buttons = [...this.#list.querySelectorAll("button")];
    const at = buttons.findIndex((button) => button === document.activeElement);
    buttons.at((at + step) % buttons.length)?.focus();
  }
}
