/** A page that is reloaded goes on where it was. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, enter, memoryStorage, synced } from "./arrange.js";

/** The page goes away without a word, and comes back with nothing but its storage. */
async function reload(t, { room, server, clock, storage }, visit) {
  visit.drop();
  void room; // Its timers die with the page: the new one has its own clock, a little later.
  const after = await arrange(t, { server, storage });
  after.clock.advance(1_000 + clock.now() - after.clock.now());
  return { ...after, storage };
}

test("a reload loses nothing and repeats nothing", async (t) => {
  const storage = memoryStorage();
  const before = { ...(await arrange(t, { storage })), storage };
  const first = await enter(before);
  first.event("chat", { text: "one" });
  await synced(first);

  const after = await reload(t, before, first);
  const joined = after.room.join();
  const second = await after.server.visit();
  assert.deepEqual(second.hello.resume, { token: "resume-1", epoch: "e1", offset: 1 });
  after.server.offset = 2;
  second.welcome({ recovered: true });
  await joined;
  second.event("chat", { text: "two", offset: 2 });
  await synced(second);
  assert.deepEqual(after.heard.all("chat").map(({ text }) => text), ["two"]);
  assert.deepEqual(after.room.history.map(({ text }) => text), ["one", "two"]);
  assert.deepEqual(after.heard.all("recovered"), [{ recovered: true }]);
  assert.equal(after.tickets.asked, 0);
});

test("a page that died between keeping a chat and its place does not show it twice", async (t) => {
  const storage = memoryStorage();
  const before = { ...(await arrange(t, { storage })), storage };
  const first = await enter(before);
  first.event("chat", { text: "one" });
  await synced(first);
  const place = storage.getItem("vchat.room.r1.place");
  first.event("chat", { text: "two" });
  await synced(first);
  const after = await reload(t, before, first);
  storage.setItem("vchat.room.r1.place", place);
  after.room.join();
  const second = await after.server.visit();
  second.welcome({ recovered: true });
  second.event("chat", { text: "two", offset: 2 });
  await synced(second);
  assert.deepEqual(after.room.history.map(({ text }) => text), ["one", "two"]);
});

test("a message not confirmed before the reload is sent after it, under the same id", async (t) => {
  const storage = memoryStorage();
  const before = { ...(await arrange(t, { storage })), storage };
  const first = await enter(before);
  before.room.sendChat("hello").catch(() => {});
  const { id } = await first.frame("chat");

  const after = await reload(t, before, first);
  after.room.join();
  const second = await after.server.visit();
  assert.equal(after.room.pending, 1);
  second.welcome({ recovered: true });
  assert.equal((await second.frame("chat")).id, id);
  second.send({ type: "ack", id, offset: 1 });
  await after.heard.next("queue", ({ pending }) => pending === 0);
  assert.equal(storage.getItem("vchat.room.r1.outbox"), null);
});

test("a message of the page before that is refused is told as an error", async (t) => {
  const storage = memoryStorage();
  const before = { ...(await arrange(t, { storage })), storage };
  const first = await enter(before);
  before.room.sendChat("hello").catch(() => {});
  await first.frame("chat");
  const after = await reload(t, before, first);
  after.room.join();
  const second = await after.server.visit();
  second.welcome({ recovered: true });
  const { id } = await second.frame("chat");
  second.send({ type: "error", id, code: "muted", detail: "" });
  assert.equal((await after.heard.next("error")).code, "muted");
});

test("leaving forgets: the next page takes a ticket", async (t) => {
  const storage = memoryStorage();
  const { room, server } = await arrange(t, { storage });
  const visit = await enter({ room, server });
  const left = room.leave();
  await visit.frame("leave");
  visit.bye(1000);
  await left;
  assert.deepEqual([...storage.items.keys()], []);
});

test("a resume token that died with the reload falls back to a ticket, and the hole is said", async (t) => {
  const storage = memoryStorage();
  const before = { ...(await arrange(t, { storage })), storage };
  const after = await reload(t, before, await enter(before));
  after.room.join();
  (await after.server.visit()).bye(4102);
  const visit = await after.server.visit();
  assert.equal(visit.hello.ticket, "ticket-1");
  visit.welcome();
  assert.deepEqual(await after.heard.next("recovered"), { recovered: false });
});

test("a storage full of nonsense is a first visit", async (t) => {
  const storage = memoryStorage();
  storage.setItem("vchat.room.r1.place", '{"epoch":5}');
  storage.setItem("vchat.room.r1.outbox", '[{"message":{}},null,7]');
  const stage = await arrange(t, { storage });
  const visit = await enter(stage);
  assert.equal(visit.hello.ticket, "ticket-1");
  assert.equal(stage.room.pending, 0);
});

test("a storage that refuses is reported once and the room goes on", async (t) => {
  const storage = { getItem: () => null, setItem: () => { throw new Error("quota"); }, removeItem: () => {} };
  const stage = await arrange(t, { storage });
  const visit = await enter(stage);
  visit.event("chat", { text: "hi" });
  await synced(visit);
  assert.deepEqual(stage.heard.all("error").map(({ code }) => code), ["storage"]);
  assert.equal(stage.heard.all("chat").length, 1);
});
