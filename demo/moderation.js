/** What a host or moderator may do about someone, or about the room: menus beside the names. */

import { h } from "./dom.js";
import { t } from "./i18n.js";

const RANKS = ["owner", "moderator", "member", "spectator"];
/** Slow mode's pause between two messages of a member. */
const SLOW_S = 30;

/** @typedef {import("../client/types.js").Member} Member */
/** @typedef {{action: string, role?: string, seconds?: number}} Act */

/**
 * The acts on offer, by the names of their words; the server judges them again.
 * @param {Member | undefined} me @param {Member} other @returns {Record<string, Act>}
 */
export function actsOn(me, other) {
  if (!me || !maySteer(me) || RANKS.indexOf(me.role) >= RANKS.indexOf(other.role)) return {};
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
 * The acts on the room itself. `end` is no moderation: it ends the room for everyone.
 * @param {Member | undefined} me @param {import("../client/types.js").Room | null} room @returns {Record<string, Act>}
 */
export function actsOnRoom(me, room) {
  if (!me || !room || !maySteer(me)) return {};
  /** @type {Record<string, Act>} */
  const acts = room.locked ? { unlock: { action: "unlock" } } : { lock: { action: "lock" } };
  if (room.slowModeS > 0) acts.quick = { action: "slow", seconds: 0 };
  else acts.slow = { action: "slow", seconds: SLOW_S };
  if (me.role === "owner") acts.end = { action: "end" };
  return acts;
}

/** Whether somebody is a host or moderator. @param {Member | undefined} me */
export const maySteer = (me) => me !== undefined && RANKS.indexOf(me.role) <= 1;

/**
 * A menu of acts, or nothing if there is none.
 * @template {Act} T @param {Record<string, T>} acts @param {string} label @param {string} testId @param {(act: T) => void} act
 */
export function menuOf(acts, label, testId, act) {
  if (!Object.keys(acts).length) return null;
  const menu = h("select", { class: "moderate", "aria-label": label, "data-testid": testId },
    h("option", { value: "" }, "⋯"),
    ...Object.keys(acts).map((name) => h("option", { value: name }, t(`moderate.${name}`, { seconds: SLOW_S }))));
  menu.addEventListener("change", () => {
    const chosen = acts[menu.value];
    menu.value = "";
    if (chosen) act(chosen);
  });
  return menu;
}
