/** Every word is there in both languages, and nothing is said that has no words. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { EMOTES } from "../emotes.js";
import { preferred, STRINGS } from "../i18n.js";
import { problemText, refusalText } from "../problems.js";

const folder = new URL("../", import.meta.url);
const sources = readdirSync(folder).filter((name) => /\.(js|html)$/.test(name));
const text = sources.map((name) => readFileSync(new URL(name, folder), "utf8")).join("\n");
const places = (/** @type {string} */ words) => (words.match(/\{\w+\}/g) ?? []).sort();

test("both languages have the same keys", () => {
  assert.deepEqual(Object.keys(STRINGS.ja).sort(), Object.keys(STRINGS.en).sort());
});

test("both languages fill in the same values, and none is empty", () => {
  for (const [key, words] of Object.entries(STRINGS.en)) {
    const other = /** @type {Record<string, string>} */ (STRINGS.ja)[key];
    assert.ok(words.trim() && other.trim(), key);
    assert.deepEqual(places(other), places(words), key);
  }
});

test("every key the page asks for has words", () => {
  const asked = [
    ...[...text.matchAll(/\bt\("([^"]+)"/g)].map((found) => found[1]),
    ...[...text.matchAll(/data-i18n(?:-[a-z-]+)?="([^"]+)"/g)].map((found) => found[1]),
    ...Object.keys(EMOTES).map((name) => `emote.${name}`),
    ...["idle", "connecting", "joining", "joined", "migrating", "reconnecting", "dozing", "left", "refused"].map((state) => `state.${state}`),
  ];
  assert.ok(asked.length > 60);
  for (const key of asked) assert.ok(key in STRINGS.en, `no words for ${key}`);
});

test("every final close code of the SDK says what to do next", async () => {
  const { reasonFor } = await import("../../client/close-codes.js");
  const codes = Array.from({ length: 200 }, (_, i) => 4300 + i).map((code) => reasonFor(code, "")).filter(({ name }) => !name.startsWith("close-"));
  assert.ok(codes.length >= 10);
  for (const name of ["idle", ...codes.map(({ name }) => name)]) assert.ok(`refused.${name}` in STRINGS.en, `no words for ${name}`);
});

test("the language is the one chosen before, else the browser's first that we have, else English", () => {
  const kept = (/** @type {string | null} */ value) => /** @type {any} */ ({ getItem: () => value });
  assert.equal(preferred(kept("ja"), ["en-US"]), "ja");
  assert.equal(preferred(kept(null), ["fr", "ja-JP", "en"]), "ja");
  assert.equal(preferred(kept("klingon"), ["fr"]), "en");
});

test("a room that does not take one's avatar names the use that its author did not allow", () => {
  const detail = "Its author does not allow this use: violent.";
  for (const text of [refusalText({ name: "avatar-not-allowed", detail }), problemText({ code: "avatar-not-allowed", detail })]) {
    assert.match(text, /not allowed in this room.*violent.*Choose another look/);
  }
});
