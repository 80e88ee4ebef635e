/** Name tags and speech bubbles over the heads, as text of the page: sharp in every language. */

import { h } from "./dom.js";

const BUBBLE_MS = 7_000;
const BUBBLE_LETTERS = 140;
const FAR_M = 18;
/** What is said stays under the room's bar; styles.css has its height. */
const TOP_PX = 82;
const EDGE_PX = 6;

export class Label {
  #bubble = h("div", { class: "bubble", hidden: true });
  #name = h("span", { class: "tag-name" });
  #root = h("div", { class: "label" }, this.#bubble, h("div", { class: "tag" }, this.#name));
  #until = 0;
  /** With the bubble: measured when it is shown, not at every frame. */
  #size = { width: 0, height: 0 };

  /** @param {HTMLElement} layer */
  constructor(layer) {
    layer.append(this.#root);
  }

  /** @param {string} name @param {string} colour @param {{own: boolean, asleep: boolean}} how */
  call(name, colour, { own, asleep }) {
    this.#name.textContent = asleep ? `${name} 💤` : name;
    this.#root.style.setProperty("--seat", colour);
    this.#root.classList.toggle("own", own);
    this.#root.classList.toggle("asleep", asleep);
  }

  /** @param {string} text */
  say(text) {
    const letters = [...text];
    this.#bubble.textContent = letters.length > BUBBLE_LETTERS ? `${letters.slice(0, BUBBLE_LETTERS).join("")}…` : text;
    this.#bubble.hidden = this.#root.hidden = false;
    this.#size = { width: this.#root.offsetWidth, height: this.#root.offsetHeight };
    this.#until = performance.now() + BUBBLE_MS;
  }

  /** @param {{x: number, y: number, distance: number} | null} at */
  move(at) {
    if (performance.now() > this.#until) this.#bubble.hidden = true;
    const visible = at !== null && at.distance < FAR_M;
    this.#root.hidden = !visible;
    if (!visible) return;
    const scale = Math.max(0.7, Math.min(1.1, 5.5 / at.distance));
    const says = !this.#bubble.hidden;
    const y = says ? Math.max(at.y, TOP_PX + this.#size.height * scale) : at.y;
    if (says) this.#bubble.style.translate = `${inward(at.x, (this.#size.width * scale) / 2) / scale}px`;
    this.#root.style.transform = `translate(${at.x.toFixed(1)}px, ${y.toFixed(1)}px) translate(-50%, -100%) scale(${scale.toFixed(3)})`;
    // Nearer ones before farther ones, and what is said before every name.
    this.#root.style.zIndex = String((says ? 2000 : 1000) - Math.round(at.distance * 20));
  }

  remove() { this.#root.remove(); }
}

/** How far words around `x` have to go to be on the page; heads that are not on it keep theirs. @param {number} x @param {number} half of their width */
function inward(x, half) {
  if (x < 0 || x > innerWidth) return 0;
  return Math.max(half + EDGE_PX, Math.min(innerWidth - half - EDGE_PX, x)) - x;
}
