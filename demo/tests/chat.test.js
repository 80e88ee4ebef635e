/** The field and what waits in the log: who may write, and what became of what was written. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Chat } from "../chat.js";
import { fakePage } from "./fake-page.js";

let page;
let room;
/** @type {Chat} */
let chat;
/** Refuses what is on its way, oldest first. */
let refusals;

beforeEach(() => {
  page = fakePage();
  refusals = [];
  room = {
    history: [], user: { id: "aya" }, seat: 1, state: "joined", room: { slowModeS: 0 }, members: new Map(),
    sendChat: () => new Promise((_, reject) => refusals.push(reject)),
  };
  is({});
  chat = new Chat(room, () => {});
});

const element = (id) => page.getElementById(id);
const is = (more) => room.members.set(1, { role: "member", muted: false, ...more });
const waits = () => element("lines").querySelectorAll(".waiting").map(({ lastElementChild }) => lastElementChild.textContent);

function say(text) {
  element("chat-input").value = text;
  element("say").dispatchEvent(new Event("submit"));
}

test("who may not write is told so by the field, and may again", () => {
  for (const [more, words] of [[{ muted: true }, "You are muted"], [{ role: "spectator" }, "You are watching"], [{ role: "spectator", muted: true }, "You are watching"]]) {
    is(more);
    chat.permit();
    assert.equal(element("chat-input").disabled, true);
    assert.equal(element("chat-send").disabled, true);
    assert.equal(element("chat-input").getAttribute("placeholder"), words);
  }
  is({});
  chat.permit();
  assert.equal(element("chat-input").disabled, false);
  assert.equal(element("chat-input").getAttribute("placeholder"), "Say something");
});

test("a field that is switched off hands the keyboard to the log", () => {
  element("chat-input").focus();
  is({ muted: true });
  chat.permit();
  assert.equal(page.activeElement, element("log"));
});

test("what waits because of slow chat says so and how long, also what is written meanwhile", () => {
  room.room.slowModeS = 30;
  say("one");
  assert.deepEqual(waits(), ["sending…"]);
  chat.hold(29_500);
  say("two");
  assert.deepEqual(waits(), ["waits: slow chat, 30 s", "waits: slow chat, 30 s"]);
  chat.said({ seat: 1, userId: "aya", name: "Aya", text: "one", time: 0 });
  assert.equal(waits().length, 1);
});

test("a message that is refused says why; when the whole room is, that is told elsewhere and once", async () => {
  say("one");
  refusals[0](Object.assign(new Error(), { code: "muted" }));
  await new Promise(setImmediate);
  assert.match(element("toasts").textContent, /A moderator muted you/);
  element("toasts").replaceChildren();

  say("two");
  say("three");
  room.state = "refused";
  chat.permit();
  for (const refuse of refusals.slice(1)) refuse(Object.assign(new Error(), { code: "kicked" }));
  await new Promise(setImmediate);
  assert.equal(element("toasts").childElementCount, 0);
  assert.equal(element("lines").querySelectorAll(".failed").length, 3);
  assert.equal(element("chat-input").disabled, true);
});
