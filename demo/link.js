/** The link to a room, on its way to somebody. */

import { writeAddress } from "./address.js";
import { byId } from "./dom.js";
import { t } from "./i18n.js";
import { toast } from "./toasts.js";

/** @typedef {import("./address.js").Address} Address */

/** @param {Address} address */
export async function copyLink(address) {
  const link = linkTo(address);
  try {
    await navigator.clipboard.writeText(link);
    toast(t(address.invite ? "copied.invite" : "copied"));
  } catch {
    show(link);
  }
}

/** With what the device sends things, or copied where it has nothing. @param {Address} address */
export async function shareLink(address) {
  if (!("share" in navigator)) return copyLink(address);
  try {
    await navigator.share({ url: linkTo(address) });
  } catch (error) {
    if (/** @type {DOMException} */ (error).name !== "AbortError") await copyLink(address); // else they thought better of it
  }
}

/** @param {Address} address */
const linkTo = (address) => location.origin + location.pathname + writeAddress(address);

/** To be copied by hand: the address bar need not have it. @param {string} link */
function show(link) {
  const field = /** @type {HTMLInputElement} */ (byId("link-field"));
  field.value = link;
  /** @type {HTMLDialogElement} */ (byId("link")).showModal();
  field.select();
}
