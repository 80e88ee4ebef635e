/** Short news at the edge of the page, and words for whoever cannot see it. */

import { byId, h } from "./dom.js";

const SHOWN_MS = 6_000;
const MOST = 4;

/** @param {string} text @param {"good" | "bad"} [kind] */
export function toast(text, kind = "good") {
  const box = byId("toasts");
  const item = h("p", { class: `toast ${kind}` }, text);
  box.append(item);
  while (box.childElementCount > MOST) box.firstElementChild?.remove();
  setTimeout(() => item.remove(), SHOWN_MS);
}

/** Read out by a screen reader, not shown. @param {string} text */
export function announce(text) {
  const live = byId("live");
  live.append(h("p", {}, text));
  while (live.childElementCount > 5) live.firstElementChild?.remove();
}
