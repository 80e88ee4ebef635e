/** What a host or moderator may do about someone, or about the room. */

import { t } from "./i18n.js";

const RANKS = ["owner", "moderator", "member", "spectator"];
/** Slow mode's pause between two messages of a member. */
const SLOW_S = 30;
/** What the same menu cannot take back. */
const ASK_FIRST = ["kick", "ban", "transfer", "end"];

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

/** Why the room would not take somebody's words, or null: the name of a string. @param {Member | undefined} me */
export const silenced = (me) => (me?.role === "spectator" ? "chat.watching" : me?.muted ? "chat.muted" : null);

/** What somebody is to be told about themselves: names of strings. @param {Member} before @param {Member} now @returns {string[]} */
export function newsOf(before, now) {
  return [
    ...(now.muted === before.muted ? [] : [now.muted ? "you.muted" : "you.unmuted"]),
    ...(now.role === before.role ? [] : [`you.${now.role}`]),
  ];
}

/**
 * For a menu, in words.
 * @template {Act} T @param {Record<string, T>} acts @param {(act: T) => void} act @param {string} [name] of whom they are about
 * @returns {import("./menu.js").Entry[]}
 */
export function entriesOf(acts, act, name = "") {
  return Object.entries(acts).map(([key, one]) => ({
    text: t(`moderate.${key}`, { seconds: SLOW_S }),
    sure: ASK_FIRST.includes(key) ? t(`moderate.${key}.sure`, { name }) : undefined,
    act: () => act(one),
  }));
}
