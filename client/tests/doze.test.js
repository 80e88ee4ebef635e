/** Nobody attends to the page: the socket goes, the seat stays, and any touch brings everything back. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, enter, synced } from "./arrange.js";
import { ME, OTHER } from "./scripted-server.js";

const DOZE = { hiddenS: 60, idleS: 900, awayS: 1800 };

/** In a room whose relay knows `doze`; `page.hidden` is what the page says of itself. */
async function inRoom(t, options = {}, welcome = {}) {
  const page = { hidden: false };
  const stage = await arrange(t, { hidden: () => page.hidden, ...options });
  const visit = await enter(stage, { doze: DOZE, pingMs: 10_000_000, ...welcome }); // silence is not what is tested here
  const look = (hidden) => {
    page.hidden = hidden;
    stage.wake.dispatchEvent(new Event("visibilitychange"));
  };
  return { ...stage, visit, look };
}

/** Has been asked to doze, and dozes. */
async function asleep(t, options) {
  const stage = await inRoom(t, options);
  stage.look(true);
  stage.clock.advance(60_000);
  await stage.visit.frame("doze");
  stage.visit.bye(4007, "doze");
  await stage.heard.state("dozing");
  return stage;
}

test("a page out of sight for long enough dozes, and nothing runs while it does", async (t) => {
  const { visit, look, clock, room } = await inRoom(t);
  look(true);
  clock.advance(59_999);
  await synced(visit);
  assert.deepEqual(visit.unread, []);
  clock.advance(1);
  await visit.frame("doze");
  assert.equal(room.state, "joined");
  visit.bye(4007, "doze");
  await visit.gone;
  assert.equal(room.state, "dozing");
  assert.equal(clock.waiting, 0);
  assert.equal(room.members.size, 2); // still readable
});

test("a page in sight that nobody touches dozes later; any touch puts that off", async (t) => {
  const { visit, clock, wake } = await inRoom(t);
  clock.advance(899_000);
  wake.dispatchEvent(new Event("pointermove"));
  clock.advance(899_999);
  await synced(visit);
  assert.deepEqual(visit.unread, []);
  clock.advance(1);
  await visit.frame("doze");
});

test("seen again in time, it does not doze", async (t) => {
  const { visit, look, clock } = await inRoom(t);
  look(true);
  clock.advance(59_000);
  look(false);
  clock.advance(120_000);
  look(true);
  clock.advance(59_000);
  await synced(visit);
  assert.deepEqual(visit.unread, []);
});

for (const [what, touch] of [
  ["looking at it", ({ look }) => look(false)],
  ["a key", ({ wake }) => wake.dispatchEvent(new Event("keydown"))],
  ["the page's own word", ({ room }) => room.wake()],
]) {
  test(`${what} wakes it: it resumes where it was, and hears what it missed once`, async (t) => {
    const stage = await asleep(t);
    stage.server.offset = 2;
    touch(stage);
    const again = await stage.server.visit();
    assert.deepEqual(again.hello.resume, { token: "resume-1", epoch: "e1", offset: 0 });
    again.welcome({ recovered: true, head: 2, doze: DOZE });
    again.event("chat", { text: "1", offset: 1 });
    again.event("chat", { text: "2", offset: 2 });
    await synced(again);
    assert.equal(stage.room.state, "joined");
    assert.deepEqual(stage.heard.all("chat").map(({ text }) => text), ["1", "2"]);
    assert.deepEqual(stage.heard.all("recovered"), [{ recovered: true }]);
    assert.equal(stage.tickets.asked, 1);
  });
}

test("something to say wakes it, and is said once", async (t) => {
  const { room, server } = await asleep(t);
  const stored = room.sendChat("good morning");
  const again = await server.visit();
  again.welcome({ recovered: true, doze: DOZE });
  const { id } = await again.frame("chat");
  again.send({ type: "ack", id, offset: 1 });
  assert.deepEqual(await stored, { offset: 1 });
});

test("the network coming back wakes nobody", async (t) => {
  const { wake, server, room, clock } = await asleep(t);
  await server.opened();
  wake.dispatchEvent(new Event("online"));
  clock.advance(600_000);
  assert.equal(server.untaken, 0);
  assert.equal(room.state, "dozing");
});

test("touched between asking and the answer, it comes straight back", async (t) => {
  const { visit, look, clock, server, heard } = await inRoom(t);
  look(true);
  clock.advance(60_000);
  await visit.frame("doze");
  look(false);
  visit.bye(4007, "doze");
  (await server.visit()).welcome({ recovered: true, doze: DOZE });
  await heard.state("reconnecting");
  await heard.state("joined");
  assert.deepEqual(heard.all("state").filter(({ state }) => state === "dozing"), []);
});

test("a refusal to let it doze is followed by another try", async (t) => {
  const { visit, look, clock, room } = await inRoom(t);
  look(true);
  clock.advance(60_000);
  await visit.frame("doze");
  visit.send({ type: "error", code: "unavailable", detail: "", retryMs: 1000 });
  await synced(visit);
  assert.equal(room.state, "joined");
  clock.advance(10_000);
  await visit.frame("doze");
});

test("a socket that breaks instead of an answer is come back from as ever", async (t) => {
  const { visit, look, clock, heard } = await inRoom(t);
  look(true);
  clock.advance(60_000);
  await visit.frame("doze");
  visit.drop();
  await heard.state("reconnecting");
});

test("away for too long, it says so and waits for the person", async (t) => {
  const { look, server, heard, clock } = await asleep(t);
  look(false);
  (await server.visit()).bye(4402, "idle");
  const { reason } = await heard.state("refused");
  assert.deepEqual([reason.name, reason.action], ["idle", "ask"]);
  assert.equal(clock.waiting, 0);
});

test("leaving while it dozes gives up the seat that was kept", async (t) => {
  const { room, server, clock } = await asleep(t);
  const left = room.leave();
  const again = await server.visit();
  assert.equal(again.hello.resume.token, "resume-1");
  again.welcome({ recovered: true, doze: DOZE });
  await again.frame("leave");
  again.bye(1000);
  await left;
  assert.equal(room.state, "left");
  assert.equal(clock.waiting, 0);
});

test("leaving while it dozes ends even if nobody answers", async (t) => {
  const { room, server } = await asleep(t);
  await server.opened();
  const left = room.leave();
  (await server.opened()).drop();
  await left;
  assert.equal(room.state, "left");
});

test("who talks in the voice call is not asleep", async (t) => {
  const { visit, look, clock } = await inRoom(t, {}, { members: [{ ...ME, voice: true }, OTHER] });
  look(true);
  clock.advance(3_600_000);
  assert.deepEqual(visit.unread.filter(({ type }) => type === "doze"), []);
});

test("a page that wants to hear of chats in the background keeps its socket", async (t) => {
  const { visit, look, clock } = await inRoom(t, { doze: false });
  look(true);
  clock.advance(40_000);
  visit.event("chat", { text: "psst" });
  clock.advance(40_000);
  await synced(visit);
  assert.deepEqual(visit.unread, []);
});

test("an older relay, which says nothing of dozing, is never asked", async (t) => {
  const { visit, look, clock } = await inRoom(t, {}, { doze: undefined });
  look(true);
  clock.advance(40_000);
  await synced(visit);
  clock.advance(40_000);
  await synced(visit);
  assert.deepEqual(visit.unread, []);
});

test("the others are seen to be away and back", async (t) => {
  const { visit, room } = await inRoom(t);
  visit.event("member", { seat: OTHER.seat, userId: OTHER.userId, name: undefined, away: true });
  await synced(visit);
  assert.equal(room.members.get(OTHER.seat).away, true);
  assert.equal(room.members.get(OTHER.seat).name, OTHER.name);
  visit.event("member", { seat: OTHER.seat, userId: OTHER.userId, name: undefined, away: false });
  await synced(visit);
  assert.equal(room.members.get(OTHER.seat).away, false);
});
