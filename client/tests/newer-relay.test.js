/** A relay of a later day: it says more than this client knows, and nothing of that does harm. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, enter, synced } from "./arrange.js";
import { ME, OTHER } from "./scripted-server.js";

const NEWER = { version: 97, holograms: { depth: 3 }, members: [{ ...ME, halo: "gold" }, { ...OTHER, halo: null }], limits: { poseHz: 30, textLength: 2000, halos: 1 } };

test("a welcome that says more is a welcome", async (t) => {
  const stage = await arrange(t);
  await enter(stage, NEWER);
  assert.equal(stage.room.state, "joined");
  assert.equal(stage.room.members.size, 2);
});

test("frames and events of unknown types are taken in silently, and those after them in order", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, NEWER);
  visit.send({ type: "hologram", depth: 3 });
  visit.event("hologram", { depth: 3 });
  visit.event("chat", { text: "hello", colour: "red", mood: [1] });
  await synced(visit);
  assert.deepEqual(stage.heard.all("chat").map(({ text }) => text), ["hello"]);
  assert.equal(stage.room.offset, 2);
  assert.deepEqual(stage.heard.all("error"), []);
  assert.equal(stage.room.state, "joined");
});

test("a member that changes in a way unknown here is still that member", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, NEWER);
  visit.event("member", { seat: OTHER.seat, userId: OTHER.userId, name: undefined, halo: "silver" });
  await synced(visit);
  assert.equal(stage.room.members.get(OTHER.seat).name, OTHER.name);
});

test("somebody who leaves for an unknown reason has left", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, NEWER);
  visit.event("left", { seat: OTHER.seat, userId: OTHER.userId, reason: "ascended" });
  await synced(visit);
  assert.equal(stage.room.members.size, 1);
});

test("binary frames of an unknown kind are reported, and the connection stays", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, NEWER);
  visit.raw(Uint8Array.of(9, 0, 1, 2, 3, 4, 5, 6, 7));
  await synced(visit);
  assert.deepEqual(stage.heard.all("error").map(({ code }) => code), ["bad-frame"]);
  assert.equal(stage.room.state, "joined");
});

for (const [code, action] of [[4098, "again"], [4198, "new-ticket"], [4398, "final"], [4498, "ask"], [4998, "again"]]) {
  test(`the unknown code ${code} is followed by its range: ${action}`, async (t) => {
    const stage = await arrange(t);
    const visit = await enter(stage, NEWER);
    visit.bye(code, "later", { more: 1 });
    if (action === "new-ticket") {
      assert.equal((await stage.server.visit()).hello.ticket, "ticket-2");
      return;
    }
    const { reason } = await stage.heard.state(action === "again" ? "reconnecting" : "refused");
    assert.deepEqual([reason.code, reason.action], [code, action]);
  });
}
