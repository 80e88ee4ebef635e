/** The list of people and its menus, while people come, change and go. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { People } from "../people.js";
import { fakePage } from "./fake-page.js";

let page;
/** What was done about whom. */
let acts;
/** @type {People} */
let people;

beforeEach(() => {
  page = fakePage();
  acts = [];
  people = new People((act) => acts.push(act));
});

const member = (userId, seat, more = {}) => ({ userId, seat, name: userId, role: "member", avatar: null, muted: false, away: false, voice: false, relay: "a", ...more });
const host = member("aya", 1, { role: "owner" });
const rows = () => page.getElementById("people").children;
const button = (row) => row.querySelector(".more");
const list = (row) => row.querySelector(".acts");
const choices = (row) => list(row).querySelectorAll("button");
const choose = (row, text) => choices(row).find(({ textContent }) => textContent === text).click();

test("oneself is first, then who came earlier", () => {
  people.show([member("cem", 3), member("ben", 2), host, member("dan", 4)], "dan");
  assert.deepEqual(rows().map((row) => row.getAttribute("data-user")), ["dan", "aya", "ben", "cem"]);
});

test("what happens to others takes neither the keyboard nor an open menu away", () => {
  people.show([host, member("ben", 2)], "aya");
  const ben = rows()[1];
  list(ben).showPopover();
  const second = choices(ben)[1];
  second.focus();
  people.show([host, member("ben", 2, { away: true }), member("cem", 3)], "aya");
  people.show([host, member("ben", 2)], "aya");
  assert.equal(rows()[1], ben);
  assert.equal(page.activeElement, second);
  assert.equal(list(ben).open, true);
});

test("who is gone leaves the keyboard at the list", () => {
  people.show([host, member("ben", 2)], "aya");
  button(rows()[1]).focus();
  people.show([host], "aya");
  assert.equal(page.activeElement, page.getElementById("people-title"));
  assert.equal(rows().length, 1);
});

test("an open menu offers what can be done now", () => {
  people.show([host, member("ben", 2)], "aya");
  const ben = rows()[1];
  list(ben).showPopover();
  people.show([host, member("ben", 2, { muted: true })], "aya");
  assert.equal(choices(ben)[0].textContent, "Unmute");
  choose(ben, "Unmute");
  assert.deepEqual(acts, [{ action: "unmute", userId: "ben" }]);
  assert.equal(list(ben).open, false);
});

test("nobody is sent away, and no room given away, by one press", () => {
  people.show([host, member("ben", 2)], "aya");
  const ben = rows()[1];
  for (const text of ["Remove", "Ban", "Hand the room over"]) {
    list(ben).showPopover();
    choices(ben)[0].focus();
    choose(ben, text);
    assert.deepEqual(acts, []);
    assert.equal(page.activeElement.textContent, "Cancel"); // where a second Enter does nothing
    choose(ben, "Cancel");
    assert.equal(list(ben).open, false);
  }
  list(ben).showPopover();
  choose(ben, "Ban");
  assert.match(list(ben).textContent, /Ban ben\? They cannot come/);
  choose(ben, "Ban");
  assert.deepEqual(acts, [{ action: "ban", userId: "ben" }]);
});

test("the arrow keys go round the open menu, and do nothing else", () => {
  people.show([host, member("ben", 2)], "aya");
  const ben = rows()[1];
  list(ben).showPopover();
  choices(ben)[0].focus();
  for (const [key, text] of [["ArrowUp", "Hand the room over"], ["ArrowDown", "Mute"], ["ArrowDown", "Remove"], ["End", "Remove"]]) {
    list(ben).dispatchEvent(Object.assign(new Event("keydown"), { key }));
    assert.equal(page.activeElement.textContent, text);
  }
  assert.deepEqual(acts, []);
});

test("who can do nothing about somebody has no menu for them", () => {
  people.show([host, member("ben", 2)], "ben");
  assert.equal(button(rows()[1]), null);
  people.show([{ ...host, role: "member" }, member("ben", 2, { role: "owner" })], "ben");
  assert.ok(button(rows()[1]));
});
