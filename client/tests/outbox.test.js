/** Messages: stored once, promised once, bounded. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, enter, synced } from "./arrange.js";
import { ME } from "./scripted-server.js";

async function lost({ heard, clock }) {
  clock.advance((await heard.state("reconnecting")).retryInMs);
}

test("a message is confirmed by its ack", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const stored = stage.room.sendChat("hello");
  const { id, text } = await visit.frame("chat");
  assert.equal(text, "hello");
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(stage.room.pending, 1);
  visit.send({ type: "ack", id, offset: 7 });
  assert.deepEqual(await stored, { offset: 7 });
  assert.equal(stage.room.pending, 0);
  assert.deepEqual(stage.heard.all("queue").map(({ pending }) => pending), [1, 0]);
});

test("when the ack is lost, the same id is sent again and there is one promise", async (t) => {
  const stage = await arrange(t);
  const first = await enter(stage);
  const stored = stage.room.sendChat("hello");
  const { id } = await first.frame("chat");
  first.drop();
  await lost(stage);
  const second = await stage.server.visit();
  second.welcome({ recovered: true });
  assert.equal((await second.frame("chat")).id, id);
  second.send({ type: "ack", id, offset: 1 });
  second.send({ type: "ack", id, offset: 1 });
  assert.deepEqual(await stored, { offset: 1 });
});

test("seeing one's own event proves it was stored, even if no ack ever comes", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const stored = stage.room.sendChat("hello");
  const { id } = await visit.frame("chat");
  visit.event("chat", { id, seat: ME.seat, userId: "somebody-else", text: "their id is not ours" });
  await synced(visit);
  assert.equal(stage.room.pending, 1);
  visit.event("chat", { id, seat: ME.seat, userId: ME.userId, text: "hello" });
  assert.deepEqual(await stored, { offset: 2 });
});

test("an ack that does not come on a living connection is asked for by sending again", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const stored = stage.room.sendChat("hello");
  const { id } = await visit.frame("chat");
  await synced(visit);
  stage.clock.advance(15_000);
  assert.equal((await visit.frame("chat")).id, id);
  visit.send({ type: "ack", id, offset: 1 });
  await stored;
  assert.equal(stage.room.latency, null); // nobody knows which of the two it answered
});

test("what is written offline is sent in order after the return", async (t) => {
  const stage = await arrange(t);
  (await enter(stage)).drop();
  const { retryInMs } = await stage.heard.state("reconnecting");
  const stored = ["a", "b", "c"].map((text) => stage.room.sendChat(text));
  stage.clock.advance(retryInMs);
  const visit = await stage.server.visit();
  visit.welcome({ recovered: true });
  for (const text of ["a", "b", "c"]) {
    const frame = await visit.frame("chat");
    assert.equal(frame.text, text);
    visit.send({ type: "ack", id: frame.id, offset: 1 });
  }
  await Promise.all(stored);
});

test("at most eight unanswered messages are on their way", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  for (let i = 0; i < 20; i++) stage.room.sendChat(String(i)).catch(() => {});
  const frame = await visit.frame("chat");
  await synced(visit);
  assert.equal(visit.unread.length, 7);
  visit.send({ type: "ack", id: frame.id, offset: 1 });
  await synced(visit);
  assert.equal(stage.room.pending, 19);
});

test("the hundred and first waiting message is refused, the others are kept", async (t) => {
  const stage = await arrange(t);
  (await enter(stage)).drop();
  await stage.heard.state("reconnecting");
  for (let i = 0; i < 100; i++) stage.room.sendChat(String(i)).catch(() => {});
  await assert.rejects(stage.room.sendChat("one more"), { code: "outbox-full" });
  assert.equal(stage.room.pending, 100);
});

test("a message refused for now is sent again when the relay said, under its id", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const stored = stage.room.sendChat("hello");
  const { id } = await visit.frame("chat");
  visit.send({ type: "error", id, code: "too-fast", detail: "Slow down.", retryMs: 800 });
  await synced(visit);
  assert.equal(stage.heard.all("error")[0].retryMs, 800);
  stage.room.sendChat("waits too").catch(() => {});
  stage.clock.advance(799);
  await synced(visit);
  assert.deepEqual(visit.unread, []);
  stage.clock.advance(1);
  assert.equal((await visit.frame("chat")).id, id);
  assert.equal((await visit.frame("chat")).text, "waits too");
  visit.send({ type: "ack", id, offset: 1 });
  assert.deepEqual(await stored, { offset: 1 });
});

test("a message refused for good rejects with the relay's reason", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const stored = stage.room.sendChat("hello");
  const { id } = await visit.frame("chat");
  visit.send({ type: "error", id, code: "muted", detail: "You are muted." });
  await assert.rejects(stored, { code: "muted", detail: "You are muted." });
  assert.equal(stage.room.pending, 0);
});

test("a message too old to be deduplicated is not sent again", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { pingMs: 10_000_000 });
  const sent = stage.room.sendChat("sent");
  await visit.frame("chat");
  visit.drop();
  await stage.heard.state("reconnecting");
  const unsent = stage.room.sendChat("unsent");
  stage.clock.sleep(8 * 60_000);
  stage.clock.advance(0);
  await assert.rejects(sent, { code: "unconfirmed" });
  await assert.rejects(unsent, { code: "expired" });
});

test("leaving rejects what is still waiting", async (t) => {
  const stage = await arrange(t);
  (await enter(stage)).drop();
  await stage.heard.state("reconnecting");
  const waiting = assert.rejects(stage.room.sendChat("hello"), { code: "left" });
  await stage.room.leave();
  await waiting;
});

test("a refusal to come back rejects what is waiting, saying why", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const waiting = assert.rejects(stage.room.sendChat("hello"), { code: "banned" });
  visit.bye(4302);
  await waiting;
});

test("what would end the connection is refused here", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  await assert.rejects(stage.room.sendChat(""), { code: "bad-text" });
  await assert.rejects(stage.room.sendChat("x".repeat(2001)), { code: "bad-text" });
  await assert.rejects(stage.room.sendSignal("", {}), { code: "bad-signal" });
  await assert.rejects(stage.room.sendSignal("wave", "x".repeat(4095)), { code: "bad-signal" });
  await assert.rejects(stage.room.sendSignal("wave", undefined), { code: "bad-signal" });
  stage.room.sendChat("🦊".repeat(2000)).catch(() => {}); // lengths count code points
  assert.equal([...(await visit.frame("chat")).text].length, 2000);
});

test("nothing can be sent before joining", async (t) => {
  const { room } = await arrange(t);
  await assert.rejects(room.sendChat("hello"), { code: "not-joined" });
});

test("a signal is stored like a chat; an ephemeral one is sent now or never", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const stored = stage.room.sendSignal("wave", { hand: "left" });
  const { id, name, data, ephemeral } = await visit.frame("signal");
  assert.deepEqual([name, data, ephemeral], ["wave", { hand: "left" }, undefined]);
  visit.send({ type: "ack", id, offset: 1 });
  assert.deepEqual(await stored, { offset: 1 });

  assert.equal(await stage.room.sendSignal("typing", null, { ephemeral: true }), null);
  assert.equal((await visit.frame("signal")).ephemeral, true);
  visit.drop();
  await stage.heard.state("reconnecting");
  assert.equal(await stage.room.sendSignal("typing", null, { ephemeral: true }), null);
  assert.equal(stage.room.pending, 0);
});

test("an ephemeral signal is heard though it has no offset", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  visit.send({ type: "signal", id: "s", seat: 2, userId: "u-other", name: "Sora", signal: "typing", data: null });
  assert.equal((await stage.heard.next("signal")).signal, "typing");
  assert.equal(stage.room.offset, 0);
});
