/** Whatever the relay or the page does wrong, the socket's handler survives it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { RoomClient } from "../room.js";
import { arrange, enter, synced } from "./arrange.js";

for (const nonsense of ["", "not json", "null", "[]", "7", '"text"', "{}", '{"type":7}', Buffer.alloc(0), Buffer.from([9, 9]), Buffer.from([2, 0, 0, 0, 0, 0, 0, 0, 1])]) {
  test(`${JSON.stringify(String(nonsense))} from the relay is an error event, nothing more`, async (t) => {
    const stage = await arrange(t);
    const visit = await enter(stage);
    visit.raw(nonsense);
    visit.event("chat", { text: "and on it goes" });
    await synced(visit);
    assert.deepEqual(stage.heard.all("error").map(({ code }) => code), ["bad-frame"]);
    assert.equal(stage.heard.all("chat").length, 1);
  });
}

test("unknown frames are ignored; unknown events still count", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  visit.send({ type: "weather" });
  visit.event("confetti");
  visit.event("chat", { text: "no hole before me" });
  await synced(visit);
  assert.equal(stage.room.offset, 2);
  assert.equal(stage.heard.all("chat").length, 1);
  assert.deepEqual(stage.heard.all("error"), []);
});

test("frames with wrong fields hurt nobody", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  for (const frame of [{ type: "ack" }, { type: "ack", id: 5, offset: "x" }, { type: "error" }, { type: "error", id: {}, retryMs: "soon" },
    { type: "migrate", afterMs: "now?" }, { type: "refreshed" }, { type: "chat", offset: 1.5 }]) visit.send(frame);
  await synced(visit);
  assert.equal(stage.heard.all("chat").length, 0);
});

test("a welcome that lacks something is a failed try, not a broken room", async (t) => {
  const stage = await arrange(t);
  stage.room.join().catch(() => {});
  (await stage.server.visit()).welcome({ members: undefined });
  const { reason, retryInMs } = await stage.heard.next("state", ({ reason }) => reason);
  assert.match(reason.detail, /lacks/);
  stage.clock.advance(retryInMs);
  (await stage.server.visit()).welcome();
  await stage.heard.state("joined");
});

test("a bye without a code is a lost connection", async (t) => {
  const stage = await arrange(t);
  (await enter(stage)).send({ type: "bye" });
  assert.equal((await stage.heard.state("reconnecting")).reason.code, 1006);
});

test("an error that names no message of ours is told", async (t) => {
  const stage = await arrange(t);
  (await enter(stage)).send({ type: "error", code: "unknown-type", detail: "What?" });
  const error = await stage.heard.next("error");
  assert.deepEqual([error.name, error.code, error.detail], ["RoomError", "unknown-type", "What?"]);
});

test("a listener that throws is reported and harms no other", async (t) => {
  const stage = await arrange(t);
  const reported = [];
  globalThis.reportError = (error) => reported.push(error.message);
  t.after(() => { delete globalThis.reportError; });
  const seen = [];
  stage.room.on("chat", () => { throw new Error("page bug"); });
  const stop = stage.room.on("chat", ({ text }) => seen.push(text));
  const visit = await enter(stage);
  visit.event("chat", { text: "one" });
  visit.event("chat", { text: "two" });
  await synced(visit);
  stop();
  visit.event("chat", { text: "unheard" });
  await synced(visit);
  assert.deepEqual(seen, ["one", "two"]);
  assert.deepEqual(reported, ["page bug", "page bug", "page bug"]);
});

test("where there is no WebSocket it says so at once, and what to do", () => {
  const getTicket = async () => ({ ticket: "t", url: "ws://localhost" });
  assert.throws(() => new RoomClient({ roomId: "r1", getTicket, WebSocket: null }), { code: "no-websocket", message: /pass \{ WebSocket \}/ });
});
