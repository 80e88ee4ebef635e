/** The HTTP side, against a real server that answers what the test says. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { test } from "node:test";
import { ApiError, VChatApi } from "../index.js";
import { memoryStorage } from "./arrange.js";
import { ManualClock } from "./manual-clock.js";

const KEY = "vchat.refreshToken";
const SKIP = Symbol("no answer");

/**
 * `answer(request)` gives `[status, body, headers?]` for `{method, path, token, body}`; `asked` lists the requests so far.
 * Each session it hands out is numbered: access-1 with refresh-1, and so on.
 */
async function arrange(t, answer = () => undefined, options = {}) {
  const asked = [];
  let sessions = 0;
  const session = () => {
    sessions += 1;
    return { accessToken: `access-${sessions}`, expiresIn: 900, refreshToken: `refresh-${sessions}`, user: { id: "u1", name: "Yuki", avatar: null } };
  };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const seen = { method: request.method, path: request.url, token: request.headers.authorization?.slice(7) ?? null, body: text === "" ? undefined : JSON.parse(text) };
    asked.push(seen);
    const given = await answer(seen, session);
    if (given === SKIP) return;
    const [status, body, headers = {}] = given ?? (seen.path.startsWith("/api/auth/") ? [201, session()] : [200, { ok: true }]);
    response.writeHead(status, { "content-type": status < 400 ? "application/json" : "application/problem+json", ...headers });
    response.end(body === null ? undefined : typeof body === "string" ? body : JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const clock = new ManualClock();
  const storage = memoryStorage();
  const base = `http://127.0.0.1:${server.address().port}/api`;
  const open = (more = {}) => new VChatApi(base, { storage, clock, locks: null, ...options, ...more });
  return { api: open(), open, asked, clock, storage };
}

test("a guest is signed in, and stays so over a reload", async (t) => {
  const { api, open, asked, storage } = await arrange(t);
  assert.equal(api.signedIn, false);
  assert.equal((await api.guest("Yuki")).name, "Yuki");
  assert.equal(api.signedIn, true);
  assert.equal(api.user.id, "u1");
  assert.equal(storage.getItem(KEY), "refresh-1");
  const reloaded = open();
  assert.equal(reloaded.signedIn, true);
  await reloaded.me();
  assert.deepEqual(asked.map(({ method, path, token, body }) => [method, path, token, body]), [
    ["POST", "/api/auth/guest", null, { name: "Yuki" }],
    ["POST", "/api/auth/refresh", null, { refreshToken: "refresh-1" }],
    ["GET", "/api/me", "access-2", undefined],
  ]);
});

test("each call asks what the contract says", async (t) => {
  const { api, asked } = await arrange(t);
  await api.exchange("vroid", "code");
  asked.length = 0;
  await api.updateMe({ name: "Ren" });
  await api.rooms.list({ q: "a b", limit: 5 });
  await api.rooms.get("r/1");
  await api.rooms.create({ name: "Lobby", visibility: "public" });
  await api.rooms.update("r1", { capacity: 5 });
  await api.rooms.end("r1");
  await api.rooms.members("r1");
  await api.ticket("r1");
  await api.ticket("r1", { invite: "i" });
  await api.request("PUT", "/me/avatar", { body: { source: "preset", id: "a" } });
  assert.deepEqual(asked.map(({ method, path, body }) => [method, path.slice(4), body]), [
    ["PATCH", "/me", { name: "Ren" }],
    ["GET", "/rooms?q=a+b&limit=5", undefined],
    ["GET", "/rooms/r%2F1", undefined],
    ["POST", "/rooms", { name: "Lobby", visibility: "public" }],
    ["PATCH", "/rooms/r1", { capacity: 5 }],
    ["DELETE", "/rooms/r1", undefined],
    ["GET", "/rooms/r1/members", undefined],
    ["POST", "/rooms/r1/tickets", {}],
    ["POST", "/rooms/r1/tickets", { invite: "i" }],
    ["PUT", "/me/avatar", { source: "preset", id: "a" }],
  ]);
  assert.ok(asked.every(({ token }) => token === "access-1"));
});

test("without a session public calls go without a token", async (t) => {
  const { api, asked } = await arrange(t);
  await api.rooms.list();
  assert.deepEqual([asked[0].path, asked[0].token], ["/api/rooms", null]);
});

test("an answer without a body is null", async (t) => {
  const { api } = await arrange(t, () => [204, null]);
  assert.equal(await api.rooms.end("r1"), null);
});

test("a token is renewed before it runs out, once for everyone who asks at that time", async (t) => {
  const { api, asked, clock, storage } = await arrange(t);
  await api.guest("Yuki");
  clock.advance(900_000 - 30_000 - 1);
  await api.me();
  assert.equal(asked.at(-1).token, "access-1");
  clock.advance(1);
  await Promise.all([api.me(), api.rooms.list(), api.ticket("r1")]);
  assert.equal(asked.filter(({ path }) => path === "/api/auth/refresh").length, 1);
  assert.deepEqual(asked.slice(-3).map(({ token }) => token), ["access-2", "access-2", "access-2"]);
  assert.equal(storage.getItem(KEY), "refresh-2");
});

test("tabs take turns under the lock, each with the token the other left", async (t) => {
  let turn = Promise.resolve();
  const locks = { request: (name, work) => (turn = turn.then(work, work)) }; // as navigator.locks: one after the other
  const { open, asked, storage } = await arrange(t, undefined, { locks });
  storage.setItem(KEY, "refresh-0");
  await Promise.all([open().me(), open().me(), open().me()]);
  const used = asked.filter(({ path }) => path === "/api/auth/refresh").map(({ body }) => body.refreshToken);
  assert.deepEqual(used, ["refresh-0", "refresh-1", "refresh-2"]);
});

test("a token refused early is renewed and the call made once more, not for ever", async (t) => {
  const { api, asked } = await arrange(t, ({ path }) => (path === "/api/me" ? [401, { code: "token-expired" }] : undefined));
  await api.guest("Yuki");
  await assert.rejects(api.me(), { status: 401, code: "token-expired" });
  assert.deepEqual(asked.map(({ path, token }) => [path, token]), [
    ["/api/auth/guest", null], ["/api/me", "access-1"], ["/api/auth/refresh", null], ["/api/me", "access-2"],
  ]);
});

test("a refresh that is refused ends the session; one that fails does not", async (t) => {
  let refusal = [503, { code: "unavailable" }];
  const { api, storage } = await arrange(t, ({ path }) => (path === "/api/auth/refresh" ? refusal : undefined));
  storage.setItem(KEY, "refresh-0");
  await assert.rejects(api.me(), { status: 503 });
  assert.equal(api.signedIn, true);
  refusal = [401, { code: "refresh-reused", detail: "Sign in again." }];
  await assert.rejects(api.me(), { code: "refresh-reused" });
  assert.equal(api.signedIn, false);
  assert.equal(storage.getItem(KEY), null);
});

test("logging out forgets the session here even if the server cannot be told", async (t) => {
  const { api, asked } = await arrange(t, ({ path }) => (path === "/api/auth/logout" ? [500, "{}"] : undefined));
  await api.guest("Yuki");
  await assert.rejects(api.logout(), { status: 500 });
  assert.deepEqual([api.signedIn, api.user], [false, null]);
  assert.deepEqual(asked.at(-1).body, { refreshToken: "refresh-1" });
});

test("logging out also ends what a renewal on its way brings", async (t) => {
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const { api, asked, clock } = await arrange(t, async ({ path }, session) => {
    if (path === "/api/auth/refresh") await held;
    return path === "/api/auth/logout" ? [204, null] : [200, session()];
  });
  await api.guest("Yuki");
  clock.advance(900_000);
  const late = assert.rejects(api.me(), { status: 401 });
  while (asked.at(-1).path !== "/api/auth/refresh") await new Promise(setImmediate);
  await api.logout();
  release();
  await late;
  assert.equal(api.signedIn, false);
  const ended = asked.filter(({ path }) => path === "/api/auth/logout");
  assert.deepEqual(ended.map(({ body, token }) => [body.refreshToken, token]), [["refresh-1", null], ["refresh-2", null]]);
});

test("a refusal carries all a page needs", async (t) => {
  const problem = { type: "about:blank", title: "Bad", status: 400, detail: "The name is too long.", code: "invalid-request", requestId: "q1", errors: [{ pointer: "/name", detail: "At most 40." }] };
  const { api } = await arrange(t, () => [400, problem]);
  await assert.rejects(api.guest("x".repeat(99)), (error) => {
    assert.ok(error instanceof ApiError);
    assert.deepEqual({ ...error }, { name: "ApiError", status: 400, code: "invalid-request", detail: "The name is too long.", requestId: "q1", retryAfterMs: null, errors: problem.errors });
    return true;
  });
});

test("Retry-After is understood as seconds and as a date", async (t) => {
  let header = "7";
  const { api, clock } = await arrange(t, () => [429, { code: "too-fast" }, { "retry-after": header }]);
  await assert.rejects(api.rooms.list(), { retryAfterMs: 7_000 });
  header = new Date(clock.now() + 90_000).toUTCString();
  await assert.rejects(api.rooms.list(), { retryAfterMs: 90_000 });
  header = "soon";
  await assert.rejects(api.rooms.list(), { retryAfterMs: null });
});

test("an answer from something in between is still an ApiError", async (t) => {
  let answer = [502, "<h1>Bad Gateway</h1>", { "content-type": "text/html" }];
  const { api } = await arrange(t, () => answer);
  await assert.rejects(api.rooms.list(), { name: "ApiError", status: 502, code: "http-502" });
  answer = [502, "{oops", {}];
  await assert.rejects(api.rooms.list(), { name: "ApiError", status: 502, code: "http-502" });
  answer = [200, "<h1>Welcome to our wifi</h1>", { "content-type": "text/html" }];
  await assert.rejects(api.rooms.list(), { name: "ApiError", status: 0, code: "bad-answer" });
});

test("no network and no answer are told apart from refusals", async (t) => {
  const { api, clock, asked } = await arrange(t, () => SKIP);
  const waiting = assert.rejects(api.rooms.list(), { status: 0, code: "timeout" });
  while (asked.length === 0) await new Promise(setImmediate);
  clock.advance(15_000);
  await waiting;
  const nowhere = new VChatApi("http://127.0.0.1:1", { clock });
  await assert.rejects(nowhere.rooms.list(), { status: 0, code: "network" });
});
