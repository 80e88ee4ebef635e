/** What a file says about itself, and what an address says about a room. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readAddress, writeAddress } from "../address.js";
import { conditionLines, licenceLines } from "../licence.js";
import { STRINGS } from "../i18n.js";

/** @param {any} meta */
const lines = (meta) => Object.fromEntries(licenceLines(meta).map(({ field, value }) => [field, value]));

test("what a model does not say is not stated, never allowed", () => {
  for (const meta of [{}, null, { metaVersion: "0" }, { metaVersion: "1", authors: [], name: " " }]) {
    for (const { field, value, stated } of licenceLines(meta)) {
      assert.equal(value, "licence.notStated", field);
      assert.equal(stated, false);
    }
  }
});

test("a VRM 1 model's conditions are read", () => {
  const said = lines({ metaVersion: "1", name: "Ann", authors: ["B", "C"], avatarPermission: "everyone", allowExcessivelyViolentUsage: false,
    allowExcessivelySexualUsage: true, commercialUsage: "personalProfit", creditNotation: "required", modification: "prohibited" });
  assert.deepEqual([said.name, said.authors, said.avatarUse, said.violent, said.sexual, said.commercial, said.credit, said.modification],
    ["Ann", "B, C", "licence.everyone", "licence.notAllowed", "licence.allowed", "licence.personalProfit", "licence.required", "licence.prohibited"]);
});

test("a VRM 0 model's conditions are read in its own words", () => {
  const said = lines({ metaVersion: "0", title: "Ann", author: "B", allowedUserName: "OnlyAuthor", violentUssageName: "Disallow", sexualUssageName: "Allow",
    commercialUssageName: "Disallow", licenseName: "CC_BY" });
  assert.deepEqual([said.name, said.authors, said.avatarUse, said.violent, said.sexual, said.commercial, said.credit, said.modification],
    ["Ann", "B", "licence.OnlyAuthor", "licence.notAllowed", "licence.allowed", "licence.notAllowed", "licence.notStated", "CC_BY"]);
});

test("VRoid Hub's conditions are shown one by one, and what is not stated is never allowed", () => {
  for (const { value, stated } of conditionLines({})) assert.deepEqual([value, stated], ["licence.notStated", false]);
  const lines = conditionLines({ avatarUse: "allowed", violent: "forbidden", sexual: "not-stated", credit: "required", political: "yes" });
  const said = Object.fromEntries(lines.map(({ field, value }) => [field, value]));
  assert.deepEqual([said.avatarUse, said.violent, said.sexual, said.credit, said.political],
    ["licence.everyone", "licence.notAllowed", "licence.notStated", "licence.required", "licence.notStated"]);
  for (const { field, value } of lines) for (const key of [`licence.${field}`, value]) assert.ok(key in STRINGS.en, key);
});

test("an address is read as it was written, and a broken one is the lobby", () => {
  for (const address of [{ roomId: "r1" }, { roomId: "a b/ü", invite: "x=&y" }]) assert.deepEqual(readAddress(writeAddress(address)), address);
  for (const hash of ["", "#/", "#/rooms/", "#/rooms/%", "#/rooms/a/b", "#elsewhere"]) assert.equal(readAddress(hash), null);
});
