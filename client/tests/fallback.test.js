/** Choosing the way to a relay, and what only the fallback does. What it shares with sockets: VCHAT_WAY=fallback over the other suites. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { readEvents } from "../event-stream.js";
import { streamSocketClass } from "../stream-socket.js";
import { TickClock } from "../tick-clock.js";
import { arrange, enter, memoryStorage, synced } from "./arrange.js";
import { ManualClock } from "./manual-clock.js";
import { WebSocket } from "ws";

/** A page whose network may let no WebSocket through. */
async function page(t, options = {}) {
  const stage = await arrange(t, { WebSocket, fetch, ...options });
  stage.server.blocking = true;
  return stage;
}

/** Let time pass until the next try. */
async function tryAgain({ heard, clock }) {
  const { retryInMs } = await heard.next("state", (state) => state.retryInMs !== undefined);
  clock.advance(retryInMs);
}

async function fallBack(stage) {
  const joined = stage.room.join();
  await tryAgain(stage);
  await tryAgain(stage);
  const visit = await stage.server.visit();
  visit.welcome({ tickHz: 5, pingMs: 10_000_000 });
  await joined;
  return visit;
}

test("when sockets fail twice the fallback is tried, and once it works it is what a page sees", async (t) => {
  const stage = await page(t);
  const visit = await fallBack(stage);
  assert.equal(stage.room.way, "fallback");
  assert.equal(visit.hello.ticket, "ticket-3");
  const stored = stage.room.sendChat("hello");
  const { id, text } = await visit.frame("chat");
  assert.equal(text, "hello");
  visit.send({ type: "ack", id, offset: 1 });
  assert.deepEqual(await stored, { offset: 1 });
});

test("tickets, resume tokens and keys are never in an address", async (t) => {
  const stage = await page(t);
  const visit = await fallBack(stage);
  await synced(visit);
  visit.drop();
  stage.clock.advance((await stage.heard.state("reconnecting")).retryInMs);
  assert.equal((await stage.server.visit()).hello.resume.token, "resume-1");
  const addresses = new Set(stage.server.requests.map(({ method, url }) => `${method} ${url}`));
  assert.deepEqual(addresses, new Set(["POST /rooms/r1/stream", "POST /rooms/r1/frames"]));
});

test("what was found out is kept for the session, and a working socket ends it", async (t) => {
  const storage = memoryStorage();
  const stage = await page(t, { storage });
  const visit = await fallBack(stage);
  visit.drop();
  stage.clock.advance((await stage.heard.state("reconnecting")).retryInMs);
  (await stage.server.visit()).welcome({ recovered: true }); // no socket was tried in between
  await stage.heard.state("joined");
  assert.equal(storage.items.get("vchat.fallback"), "1");

  const reloaded = await arrange(t, { WebSocket, fetch, storage, server: stage.server });
  await enter(reloaded, { pingMs: 10_000_000 });
  assert.equal(reloaded.room.way, "fallback");

  stage.server.blocking = false;
  reloaded.clock.advance(60_000);
  const socket = await stage.server.visit();
  assert.equal(socket.protocol, "vchat.v1");
  socket.welcome({ recovered: true });
  await reloaded.heard.next("state", ({ state }) => state === "joined" && reloaded.room.way === "socket");
  assert.equal(storage.items.has("vchat.fallback"), false);
});

test("a socket that is tried beside the fallback and fails costs nothing, and the next try waits longer", async (t) => {
  const stage = await page(t);
  const visit = await fallBack(stage);
  for (const wait of [60_000, 120_000]) {
    stage.clock.advance(wait - 1);
    await synced(visit);
    assert.equal(stage.room.state, "joined");
    stage.clock.advance(1);
    await stage.heard.state("migrating");
    await stage.heard.state("joined");
    visit.event("chat", { text: `after ${wait}` });
    await stage.heard.next("chat", ({ text }) => text === `after ${wait}`);
    assert.equal(stage.room.way, "fallback");
  }
});

test("a relay that asks to move while a socket is tried is not forgotten when that fails", async (t) => {
  const stage = await page(t);
  const visit = await fallBack(stage);
  stage.server.blocking = "silently";
  stage.clock.advance(60_000);
  await stage.heard.state("migrating");
  visit.send({ type: "migrate", afterMs: 0 });
  await synced(visit);
  stage.clock.advance(10_000); // no welcome
  const next = await stage.server.visit();
  assert.equal(next.hello.resume.token, "resume-1");
  next.welcome({ recovered: true });
  await stage.heard.state("joined");
  assert.equal(stage.room.way, "fallback");
});

test("a relay that is away is no reason to fall back for those whose sockets worked", async (t) => {
  const stage = await page(t);
  stage.server.blocking = false;
  (await enter(stage)).drop();
  stage.server.blocking = true;
  for (let failures = 0; failures < 5; failures++) await tryAgain(stage);
  assert.deepEqual(stage.server.requests, []);
});

test("a network that is gone altogether leaves both ways open", async (t) => {
  const stage = await page(t);
  const joined = stage.room.join();
  stage.server.answers = [{ status: 502 }, { status: 502 }];
  for (let tries = 0; tries < 4; tries++) await tryAgain(stage);
  stage.server.blocking = false;
  await tryAgain(stage);
  const visit = await stage.server.visit();
  visit.welcome();
  await joined;
});

test("without fetch there is no fallback", async (t) => {
  const stage = await page(t, { fetch: null });
  stage.room.join().catch(() => {});
  for (let tries = 0; tries < 6; tries++) await tryAgain(stage);
  assert.deepEqual(stage.server.requests, []);
});

// The requests beside the stream

async function onFallback(t) {
  const clock = new ManualClock();
  const stage = await arrange(t, { clock, WebSocket: streamSocketClass({ fetch, clock }) });
  return { ...stage, visit: await enter(stage) };
}

test("a request that missed the stream's instance is sent again", async (t) => {
  const { room, server, visit } = await onFallback(t);
  server.answers = [{ status: 409 }, { status: 409 }];
  room.sendChat("hello").catch(() => {});
  assert.equal((await visit.frame("chat")).text, "hello");
});

test("one that misses again and again opens a new stream", async (t) => {
  const { room, server, clock, heard } = await onFallback(t);
  server.answers = Array.from({ length: 13 }, () => ({ status: 409 }));
  room.sendChat("hello").catch(() => {});
  clock.advance((await heard.state("reconnecting")).retryInMs);
  const again = await server.visit();
  again.welcome({ recovered: true });
  assert.equal((await again.frame("chat")).text, "hello");
});

test("one that was too fast waits as long as it is told", async (t) => {
  const { room, server, clock, visit } = await onFallback(t);
  server.answers = [{ status: 429, headers: { "Retry-After": "2" } }];
  room.sendChat("hello").catch(() => {});
  while (server.answers.length > 0) await new Promise((resolve) => setTimeout(resolve));
  await new Promise((resolve) => setTimeout(resolve, 50));
  clock.advance(1_999);
  assert.deepEqual(visit.unread, []);
  clock.advance(1);
  assert.equal((await visit.frame("chat")).text, "hello");
});

test("one that is not answered is not waited for", async (t) => {
  const clock = new ManualClock();
  let asked = () => {};
  const askedFor = new Promise((resolve) => { asked = resolve; });
  const deaf = (url, options) => {
    if (url.endsWith("/stream")) return fetch(url, options);
    asked();
    return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(options.signal.reason)));
  };
  const stage = await arrange(t, { clock, WebSocket: streamSocketClass({ fetch: deaf, clock }) });
  await enter(stage);
  stage.room.sendChat("hello").catch(() => {});
  await askedFor;
  clock.advance(10_000);
  assert.match((await stage.heard.state("reconnecting")).reason.detail, /not answered/);
});

test("a stream that is over may still say why", async (t) => {
  const { room, server, visit, heard } = await onFallback(t);
  server.answers = [{ status: 410 }];
  room.sendChat("hello").catch(() => {});
  while (server.answers.length > 0) await new Promise((resolve) => setTimeout(resolve));
  visit.bye(4301, "be nice");
  assert.equal((await heard.state("refused")).reason.name, "kicked");
});

test("a refused stream means what the refusal says", async (t) => {
  const stage = await arrange(t, { WebSocket: streamSocketClass({ fetch, clock: new ManualClock() }) });
  const problem = (code) => JSON.stringify({ code, detail: "because" });
  stage.server.answers = [
    { status: 503, headers: { "Retry-After": "7" }, body: problem("unavailable") },
    { status: 502, body: "<html>" },
    { status: 403, body: problem("bad-origin") },
  ];
  const refused = stage.room.join();
  const busy = await stage.heard.next("state", ({ reason }) => reason?.name === "unavailable");
  assert.ok(busy.retryInMs >= 7_000);
  stage.clock.advance(busy.retryInMs);
  const proxy = await stage.heard.next("state", ({ reason }) => reason?.name === "connection-lost");
  stage.clock.advance(proxy.retryInMs);
  await assert.rejects(refused, { code: "bad-origin", detail: "because" });
});

// Details

test("events are read however the bytes are cut", async () => {
  const text = "event: a\ndata: 1\n\n: beat\n\ndata: こん\r\ndata: にちは\r\n\r\nevent:b\rdata:2\r\rdata: cut off";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 5, bytes.length]) {
    const heard = [];
    const body = new ReadableStream({
      start(controller) {
        for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
        controller.close();
      },
    });
    await readEvents(body, (event) => heard.push(event));
    assert.deepEqual(heard, [{ name: "a", data: "1" }, { name: "", data: "こん\nにちは" }, { name: "b", data: "2" }], `by ${size}`);
  }
});

test("poses that come less often are drawn that much later", () => {
  const delays = [20, 5].map((hz) => {
    const ticks = new TickClock();
    ticks.reset(hz);
    ticks.observe(0, 1_000);
    return 1_000 - ticks.drawingTime(1_000);
  });
  assert.equal(delays[1] - delays[0], 150);
});
