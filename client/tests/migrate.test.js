/** Moving to another relay while the first one still works. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { arrange, enter, synced } from "./arrange.js";
import { ScriptedServer } from "./scripted-server.js";

async function migrating(t, options = {}) {
  const stage = await arrange(t, options);
  const first = await enter(stage);
  first.send({ type: "migrate", afterMs: 500 });
  await synced(first);
  assert.equal(stage.room.state, "joined");
  stage.clock.advance(500);
  await stage.heard.state("migrating");
  return { ...stage, first, second: await stage.server.visit() };
}

test("events come exactly once across a migration, whichever socket brings them", async (t) => {
  const { room, heard, first, second } = await migrating(t);
  assert.deepEqual(second.hello.resume, { token: "resume-1", epoch: "e1", offset: 0, moving: true });
  first.event("chat", { text: "1", offset: 1 });
  first.event("chat", { text: "2", offset: 2 });
  await synced(first);
  second.welcome({ recovered: true, head: 3 });
  for (const offset of [1, 2, 3, 4]) second.event("chat", { text: String(offset), offset });
  await synced(second);
  assert.deepEqual(heard.all("chat").map(({ text }) => text), ["1", "2", "3", "4"]);
  assert.equal(room.state, "joined");
  assert.equal(await first.gone, 3000);
});

test("the old socket's farewell of replaced is only the new one's success", async (t) => {
  const { room, heard, first, second } = await migrating(t);
  first.bye(4304);
  await heard.state("reconnecting");
  second.welcome({ recovered: true });
  await heard.state("joined");
  assert.equal(room.state, "joined");
});

test("losing the old socket meanwhile opens no third one", async (t) => {
  const { server, heard, first, second, clock } = await migrating(t);
  first.drop();
  await heard.state("reconnecting");
  clock.advance(1_000);
  second.welcome({ recovered: true });
  await heard.state("joined");
  await server.opened();
  await server.opened();
  assert.equal(server.untaken, 0);
});

test("being kicked on the old socket is final, whatever the new one does", async (t) => {
  const { heard, first, second } = await migrating(t);
  first.bye(4301);
  assert.equal((await heard.state("refused")).reason.name, "kicked");
  await second.gone;
});

test("while the new relay fails, the old one keeps serving and the move is tried again", async (t) => {
  const { server, heard, first, second, clock } = await migrating(t);
  second.drop();
  const { retryInMs } = await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
  first.event("chat", { text: "still here" });
  await synced(first);
  assert.equal(heard.all("chat").length, 1);
  clock.advance(retryInMs);
  const third = await server.visit();
  assert.equal(third.hello.resume.offset, 1); // taken when the hello is sent
  third.welcome({ recovered: true });
  await heard.state("joined");
});

test("a relay that is going away sends movers on, and another one takes them while it still serves", async (t) => {
  const server = await ScriptedServer.start(t);
  const other = await ScriptedServer.start(t);
  /** @type {string[][]} */
  const asked = [];
  const { room, heard, first, second, clock } = await migrating(t, {
    server,
    getTicket: async ({ avoid }) => {
      asked.push(avoid);
      return { ticket: `ticket-${asked.length}`, url: avoid.includes(server.url) ? other.url : server.url };
    },
  });
  let refused = second;
  for (let tries = 1; ; tries++) {
    refused.bye(1013, "unavailable", { retryMs: 200 });
    const { retryInMs } = await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
    assert.ok(retryInMs >= 200 && retryInMs <= 500);
    clock.advance(retryInMs);
    if (tries === 3) break;
    refused = await server.visit();
  }
  const third = await other.visit();
  assert.deepEqual(asked, [[], [server.url]]);
  assert.deepEqual(third.hello.resume, { token: "resume-1", epoch: "e1", offset: 0, moving: true });
  first.event("chat", { text: "still here", offset: 1 });
  await synced(first);
  third.welcome({ recovered: true, head: 1 });
  third.event("chat", { text: "still here", offset: 1 });
  await synced(third);
  assert.equal(heard.all("chat").length, 1);
  assert.equal(room.state, "joined");
  assert.equal(await first.gone, 3000);
});

test("when tickets begin to lead to another relay, the one that extends the session takes the person along", async (t) => {
  const server = await ScriptedServer.start(t);
  const other = await ScriptedServer.start(t);
  const urls = [server.url, server.url, other.url];
  const stage = await arrange(t, { server, getTicket: async () => ({ ticket: "ticket", url: urls.shift() }) });
  const { room, heard, clock } = stage;
  const first = await enter(stage, { expiresIn: 200, pingMs: 1_000_000 });
  const extend = async (resume) => {
    clock.advance(140_000);
    await first.frame("refresh");
    first.send({ type: "refreshed", resume, expiresIn: 200 });
    await synced(first);
    clock.advance(0);
  };
  await extend("resume-a");
  assert.equal(room.state, "joined");
  await extend("resume-b");
  const second = await other.visit();
  assert.deepEqual(second.hello.resume, { token: "resume-b", epoch: "e1", offset: 0, moving: true });
  first.event("chat", { text: "still here", offset: 1 });
  await synced(first);
  second.welcome({ recovered: true, head: 1 });
  second.event("chat", { text: "still here", offset: 1 });
  await heard.state("joined");
  await synced(second);
  assert.equal(heard.all("chat").length, 1);
  assert.equal(await first.gone, 3000);
});

test("messages sent during the move are stored once and confirmed on the new socket", async (t) => {
  const { room, first, second } = await migrating(t);
  const stored = room.sendChat("hello");
  const sent = await first.frame("chat");
  second.welcome({ recovered: true });
  const again = await second.frame("chat");
  assert.equal(again.id, sent.id);
  second.send({ type: "ack", id: again.id, offset: 1 });
  assert.deepEqual(await stored, { offset: 1 });
});
