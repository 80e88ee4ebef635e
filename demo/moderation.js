/** What a host or moderator may do about someone: a menu beside the name. */

import { h } from "./dom.js";
import { t } from "./i18n.js";

const RANKS = ["owner", "moderator", "member", "spectator"];

/** @typedef {import("../client/types.js").Member} Member */
/** @typedef {{action: string, role?: string}} Act */

/**
 * The acts on offer, by the names of their words; the server judges them again.
 * @param {Member | undefined} me @param {Member} other @returns {Record<string, Act>}
 */
export function actsOn(me, other) {
  if (!me || RANKS.indexOf(me.role) > 1 || RANKS.indexOf(me.role) >= RANKS.indexOf(other.role)) return {};
  /** @type {Record<string, Act>} */
  const acts = other.muted ? { unmute: { action: "unmute" } } : { mute: { action: "mute" } };
  acts.kick = { action: "kick" };
  acts.ban = { action: "ban" };
  if (me.role !== "owner") return acts;
  for (const role of ["moderator", "member", "spectator"]) if (role !== other.role) acts[role] = { action: "role", role };
  acts.transfer = { action: "transfer" };
  return acts;
}

/**
 * A menu of these acts, or nothing if there is none.
 * @param {Member | undefined} me @param {Member} other @param {(act: Act & {userId: string}) => void} act
 */
export function moderationMenu(me, other, act) {
  const acts = actsOn(me, other);
  if (!Object.keys(acts).length) return null;
  const menu = h("select", { class: "moderate", "aria-label": t("moderate", { name: other.name }), "data-testid": "moderate" },
    h("option", { value: "" }, "⋯"),
    ...Object.keys(acts).map((name) => h("option", { value: name }, t(`moderate.${name}`))));
  menu.addEventListener("change", () => {
    const chosen = acts[menu.value];
    menu.value = "";
    if (chosen) act({ ...chosen, userId: other.userId });
  });
  return menu;
}
