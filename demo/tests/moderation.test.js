import assert from "node:assert/strict";
import { test } from "node:test";
import { STRINGS } from "../i18n.js";
import { actsOn, actsOnRoom, entriesOf, newsOf } from "../moderation.js";

/** @param {string} role @param {boolean} [muted] @returns {any} */
const member = (role, muted = false) => ({ seat: 1, userId: role, name: role, role, avatar: null, muted, away: false });
const names = (/** @type {any} */ me, /** @type {any} */ other) => Object.keys(actsOn(me, other));

test("only lesser roles are acted on, and only by hosts and moderators", () => {
  assert.deepEqual(names(member("member"), member("spectator")), []);
  assert.deepEqual(names(member("moderator"), member("moderator")), []);
  assert.deepEqual(names(member("moderator"), member("owner")), []);
  assert.deepEqual(names(undefined, member("member")), []);
  assert.deepEqual(names(member("moderator"), member("member")), ["mute", "kick", "ban"]);
});

test("a host also gives roles and the room away; who is muted can be heard again", () => {
  assert.deepEqual(names(member("owner"), member("member", true)), ["unmute", "kick", "ban", "moderator", "spectator", "transfer"]);
});

test("every act has words", () => {
  for (const muted of [true, false]) {
    for (const role of ["moderator", "member", "spectator"]) {
      for (const name of names(member("owner"), member(role, muted))) assert.ok(`moderate.${name}` in STRINGS.en, name);
    }
  }
});

test("a room is locked, slowed and ended by those who may, and opened again", () => {
  const room = (/** @type {object} */ more) => /** @type {any} */ ({ locked: false, slowModeS: 0, ...more });
  assert.deepEqual(actsOnRoom(member("member"), room({})), {});
  assert.deepEqual(actsOnRoom(member("owner"), null), {});
  assert.deepEqual(Object.keys(actsOnRoom(member("moderator"), room({}))), ["lock", "slow"]);
  assert.deepEqual(Object.keys(actsOnRoom(member("owner"), room({ locked: true, slowModeS: 5 }))), ["unlock", "quick", "end"]);
  assert.deepEqual(actsOnRoom(member("owner"), room({ slowModeS: 5 })).quick, { action: "slow", seconds: 0 });
  for (const more of [{}, { locked: true, slowModeS: 5 }]) {
    for (const name of Object.keys(actsOnRoom(member("owner"), room(more)))) for (const words of Object.values(STRINGS)) assert.ok(`moderate.${name}` in words, name);
  }
});

test("what cannot be taken back asks first, by name", () => {
  const asked = (/** @type {any} */ acts) => entriesOf(acts, () => {}, "Ben").filter(({ sure }) => sure).map(({ text, sure }) => [text, sure?.split("?")[0]]);
  assert.deepEqual(asked(actsOn(member("owner"), member("member"))), [["Remove", "Remove Ben"], ["Ban", "Ban Ben"], ["Hand the room over", "Hand the room over to Ben"]]);
  assert.deepEqual(asked(actsOnRoom(member("owner"), /** @type {any} */ ({ locked: false, slowModeS: 0 }))), [["End the room", "End this room for everyone in it"]]);
});

test("whoever is moderated is told what it means for them, in words", () => {
  assert.deepEqual(newsOf(member("member"), member("member")), []);
  assert.deepEqual(newsOf(member("member"), member("member", true)), ["you.muted"]);
  assert.deepEqual(newsOf(member("spectator", true), member("moderator")), ["you.unmuted", "you.moderator"]);
  for (const role of ["owner", "moderator", "member", "spectator"]) {
    for (const news of newsOf(member("nobody", role === "owner"), member(role, role === "member"))) for (const words of Object.values(STRINGS)) assert.ok(news in words, news);
  }
});
