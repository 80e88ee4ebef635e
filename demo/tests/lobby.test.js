/** Before a room: a name is asked for where it belongs, and rooms are looked at only by who may. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { beforeEach, test } from "node:test";
import { Lobby } from "../lobby.js";
import { fakePage } from "./fake-page.js";

let page;
let asked;
let entered;
/** @type {Lobby} */
let lobby;

beforeEach(() => {
  page = fakePage();
  [asked, entered] = [[], []];
  lobby = new Lobby(/** @type {any} */ ({
    api: { rooms: { get: async (id) => { asked.push(id); return { name: "Terrace" }; } } }, presets: [],
    account: { name: "", keep() {} }, enter: (roomId) => entered.push(roomId),
  }));
});

const element = (id) => page.getElementById(id);

test("a room that one comes to by a link is named", async () => {
  await lobby.invite({ roomId: "r1" });
  assert.equal(element("invited-title").textContent, "You are on the way to “Terrace”");
  assert.equal(page.activeElement, element("name"));
});

test("a private room is not looked up before one may see it: the invitation says what it is", async () => {
  await lobby.invite({ roomId: "r1", invite: "i1" });
  assert.equal(element("invited-title").textContent, "You are invited to a private room");
  assert.deepEqual(asked, []);
});

test("a missing name is told at its field, until there is one", async () => {
  await lobby.invite({ roomId: "r1", invite: "i1" });
  element("invited-join").click();
  assert.deepEqual(entered, []);
  assert.equal(element("name").getAttribute("aria-invalid"), "true");
  assert.equal(element("name-hint").textContent, "Please type a name first.");
  element("name").value = "Aya";
  element("name").dispatchEvent(new Event("input"));
  assert.equal(element("name").getAttribute("aria-invalid"), "false");
  assert.equal(element("name-hint").textContent, "Others see this above your head.");
  element("invited-join").click();
  assert.deepEqual(entered, ["r1"]);
});

test("a room can be opened once the page listens, not before: a form sent then would take what was typed along", async () => {
  const html = await readFile(new URL("../index.html", import.meta.url), "utf8");
  assert.match(html, /<button id="create-button"[^>]* disabled>/);
  assert.equal(element("create-button").disabled, false);
});
