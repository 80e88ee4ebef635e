/** Coming back: which code leads to what, with which credentials, after how long. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { arrange, enter, synced } from "./arrange.js";
import { ScriptedServer } from "./scripted-server.js";

test("a client says hello with its ticket and the protocol's name", async (t) => {
  const { room, server } = await arrange(t);
  const visit = await enter({ room, server });
  assert.equal(visit.protocol, "vchat.v1");
  assert.deepEqual(visit.hello, { type: "hello", version: 3, ticket: "ticket-1" });
  assert.equal(room.state, "joined");
  assert.deepEqual([...room.members.keys()], [1, 2]);
  assert.equal(room.seat, 1);
});

test("a large room's lists come in parts before the welcome, and make one", async (t) => {
  const { room, server } = await arrange(t);
  const chat = (offset) => ({ offset, time: offset, type: "chat", id: `m${offset}`, seat: 2, userId: "u2", name: "Mei", text: `${offset}` });
  const member = (seat) => ({ seat, userId: `u${seat}`, name: `${seat}`, role: "member", avatar: null, muted: false, away: false, voice: false, relay: "r" });
  const joining = room.join();
  const visit = await server.visit();
  visit.send({ type: "part", members: [member(1), member(2)], history: [] });
  visit.send({ type: "part", members: [member(3)], history: [chat(1)] });
  visit.welcome({ members: [], history: [chat(2)] });
  const welcome = await joining;
  assert.deepEqual(welcome.members.map(({ seat }) => seat), [1, 2, 3]);
  assert.deepEqual([...room.members.keys()], [1, 2, 3]);
  assert.deepEqual(room.history.map(({ text }) => text), ["1", "2"]);
});

test("the states are told in order", async (t) => {
  const { room, server, heard } = await arrange(t);
  const visit = await enter({ room, server });
  const left = room.leave();
  await visit.frame("leave");
  visit.bye(1000);
  await left;
  assert.deepEqual(heard.all("state").map(({ state }) => state), ["connecting", "joining", "joined", "left"]);
});

for (const code of [1001, 1006, 1011, 1012, 1013, 4001, 4002, 4003, 4004, 4005, 4006, 4042]) {
  test(`after ${code} it comes back and resumes`, async (t) => {
    const { room, server, clock, heard, tickets } = await arrange(t);
    const first = await enter({ room, server });
    if (code === 1006) first.drop();
    else first.close(code);
    const { retryInMs, reason } = await heard.state("reconnecting");
    assert.equal(reason.code, code);
    assert.equal(retryInMs, 150); // half, as `random` says, of the first 300 ms
    clock.advance(retryInMs);
    const second = await server.visit();
    assert.deepEqual(second.hello, { type: "hello", version: 3, resume: { token: "resume-1", epoch: "e1", offset: 0 } });
    second.welcome({ recovered: true });
    await heard.state("joined");
    assert.equal(tickets.asked, 1);
  });
}

for (const code of [4100, 4101, 4102, 4199]) {
  test(`after ${code} it takes a new ticket at once`, async (t) => {
    const { room, server, heard, tickets } = await arrange(t);
    (await enter({ room, server })).close(code);
    const second = await server.visit();
    assert.deepEqual(second.hello, { type: "hello", version: 3, ticket: "ticket-2" });
    second.welcome();
    await heard.next("recovered", ({ recovered }) => recovered === false);
    assert.equal(tickets.asked, 2);
  });
}

test("a ticket refused twice is followed by backoff, with a fresh ticket every time", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const joined = room.join();
  (await server.visit()).close(4101);
  const second = await server.visit();
  assert.equal(second.hello.ticket, "ticket-2");
  second.close(4101);
  const { retryInMs } = await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
  clock.advance(retryInMs);
  const third = await server.visit();
  assert.equal(third.hello.ticket, "ticket-3");
  third.welcome();
  await joined;
});

for (const [code, action] of [[4300, "final"], [4301, "final"], [4302, "final"], [4303, "final"], [4304, "final"], [4305, "final"],
  [4306, "final"], [4307, "final"], [1009, "final"], [4400, "ask"], [4401, "ask"], [4404, "ask"]]) {
  test(`${code} is ${action}: it says why and stays away until join() is called again`, async (t) => {
    const { room, server, clock, heard } = await arrange(t);
    const refused = room.join();
    (await server.visit()).bye(code, "because");
    await assert.rejects(refused, { name: "RoomError", detail: "because" });
    const { reason } = await heard.state("refused");
    assert.equal(reason.code, code);
    assert.equal(reason.action, action);
    assert.equal(reason.detail, "because");
    clock.advance(3_600_000);
    assert.equal(clock.waiting, 0);
    await enter({ room, server });
    assert.equal(room.state, "joined");
  });
}

test("members and the room change with their events", async (t) => {
  const { room, server } = await arrange(t);
  const visit = await enter({ room, server });
  visit.event("joined", { seat: 3, userId: "u3", name: "Ren", role: "member" });
  visit.event("member", { seat: 1, userId: "u-me", name: undefined, role: "moderator" });
  visit.event("member", { seat: 99, userId: "nobody", muted: true });
  visit.event("room", { name: "Garden", locked: true, userId: undefined });
  await synced(visit);
  assert.deepEqual([...room.members.keys()], [1, 2, 3]);
  assert.equal(room.members.get(3).name, "Ren");
  assert.equal(room.role, "moderator");
  assert.equal(room.members.get(1).name, "Yuki"); // only what the event names has changed
  assert.equal(room.members.has(99), false);
  assert.deepEqual([room.room.name, room.room.locked], ["Garden", true]);
});

test("1000 from the relay is the end of the stay", async (t) => {
  const { room, server, heard, clock } = await arrange(t);
  (await enter({ room, server })).close(1000);
  await heard.state("left");
  assert.equal(clock.waiting, 0);
});

test("the code in a bye counts more than the close code a proxy leaves of it", async (t) => {
  const { room, server, heard } = await arrange(t);
  const visit = await enter({ room, server });
  visit.bye(4301, "be nice");
  visit.close(1001);
  const { reason } = await heard.state("refused");
  assert.deepEqual(reason, { code: 4301, name: "kicked", detail: "be nice", action: "final" });
});

test("a slot given by the relay beats the backoff, and waking does not jump the queue", async (t) => {
  let sockets = 0;
  class Counted extends WebSocket {
    constructor(...given) {
      super(...given);
      sockets += 1;
    }
  }
  const { room, server, clock, heard, wake } = await arrange(t, { WebSocket: Counted });
  (await enter({ room, server })).bye(4001, "", { retryMs: 7_000 });
  const { retryInMs } = await heard.state("reconnecting");
  assert.equal(retryInMs, 7_150);
  wake.dispatchEvent(new Event("pageshow"));
  clock.advance(7_149);
  assert.equal(sockets, 1);
  clock.sleep(1);
  wake.dispatchEvent(new Event("pageshow")); // now it is due, even if the timer has not run
  assert.equal(sockets, 2);
  (await server.visit()).welcome({ recovered: true });
  await heard.state("joined");
});

test("where nobody answers in three tries, another relay is asked for, and once all were tried, all again", async (t) => {
  const asked = [];
  const relay = await ScriptedServer.start(t);
  const dead = "ws://127.0.0.1:1/rooms/r1";
  const answers = [relay.url, dead, dead, relay.url];
  const getTicket = async ({ avoid }) => {
    asked.push(avoid);
    return { ticket: `ticket-${asked.length}`, url: answers[asked.length - 1] };
  };
  const { room, clock, heard } = await arrange(t, { server: relay, getTicket });
  (await enter({ room, server: relay })).drop();
  for (let tries = 1; tries <= 5; tries++) {
    const { retryInMs } = await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
    clock.advance(retryInMs);
    if (tries <= 2) (await relay.visit()).drop(); // at its own relay first
  }
  const back = await relay.visit();
  assert.equal(back.hello.resume.token, "resume-1");
  back.welcome({ recovered: true });
  await heard.next("recovered");
  assert.deepEqual(asked, [[], [relay.url], [relay.url, dead], [dead]]);
});

test("exactly the missed events follow a return, then the live ones", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const first = await enter({ room, server });
  first.event("chat", { text: "before" });
  await synced(first);
  first.drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  server.offset = 3;
  const second = await server.visit();
  assert.equal(second.hello.resume.offset, 1);
  second.welcome({ recovered: true, members: [{ seat: 1, userId: "u-me", name: "Yuki" }] });
  second.event("chat", { offset: 2, text: "missed" });
  second.event("left", { offset: 3 });
  second.event("chat", { text: "live" });
  await synced(second);
  assert.deepEqual(heard.all("chat").map(({ text, replayed }) => [text, replayed]), [["before", false], ["missed", true], ["live", false]]);
  assert.deepEqual(heard.all("recovered"), [{ recovered: true }]);
  assert.deepEqual(room.history.map(({ text }) => text), ["before", "missed", "live"]);
  assert.deepEqual([...room.members.keys()], [1]);
  assert.equal(room.offset, 4);
});

test("what happened before the welcome's head changes the log, not the member list", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  (await enter({ room, server })).drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  server.offset = 2;
  const visit = await server.visit();
  visit.welcome({ recovered: true, room: { id: "r1", name: "Renamed" } }); // Sora is there: she left, and was back before the head
  visit.event("room", { offset: 1, name: "Lobby" });
  visit.event("left", { offset: 2 });
  await synced(visit);
  assert.deepEqual([...room.members.keys()], [1, 2]);
  assert.equal(room.room.name, "Renamed");
  visit.event("left", {});
  await synced(visit);
  assert.deepEqual(heard.all("left").map(({ replayed }) => replayed), [true, false]);
  assert.deepEqual([...room.members.keys()], [1]);
});

test("an event that comes again is dropped", async (t) => {
  const { room, server, heard } = await arrange(t);
  const visit = await enter({ room, server });
  visit.event("chat", { text: "once" });
  visit.event("chat", { text: "once", offset: 1 });
  visit.event("chat", { text: "next" });
  await synced(visit);
  assert.deepEqual(heard.all("chat").map(({ text }) => text), ["once", "next"]);
});

test("a hole in the offsets is never shown: the client resumes before it", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const first = await enter({ room, server });
  first.event("chat", { text: "one" });
  first.event("chat", { text: "three", offset: 3 });
  const { retryInMs, reason } = await heard.state("reconnecting");
  assert.match(reason.detail, /3 came after 1/);
  assert.notEqual(await first.gone, 1000); // 1000 would give up the seat
  clock.advance(retryInMs);
  const second = await server.visit();
  assert.equal(second.hello.resume.offset, 1);
  server.offset = 3;
  second.welcome({ recovered: true });
  second.event("chat", { text: "two", offset: 2 });
  second.event("chat", { text: "three", offset: 3 });
  await synced(second);
  assert.deepEqual(heard.all("chat").map(({ text }) => text), ["one", "two", "three"]);
});

test("when the log no longer reaches back, members and history are replaced and it is said", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const first = await enter({ room, server });
  first.event("chat", { text: "old" });
  await synced(first);
  first.drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  server.epoch = "e2";
  server.offset = 9;
  const history = [{ type: "chat", offset: 9, time: 1, id: "x", seat: 3, userId: "u3", name: "Ren", text: "new" }];
  const second = await server.visit();
  second.welcome({ recovered: false, members: [], history });
  second.event("chat", { text: "live" });
  await synced(second);
  assert.deepEqual(heard.all("recovered"), [{ recovered: false }]);
  assert.deepEqual(room.history.map(({ text }) => text), ["new", "live"]);
  assert.equal(room.members.size, 0);
  assert.deepEqual([room.epoch, room.offset], ["e2", 10]);
});

test("a welcome that resumes another place than the one asked for is not believed", async (t) => {
  const { room, server, clock, heard, tickets } = await arrange(t);
  (await enter({ room, server })).drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  (await server.visit()).welcome({ recovered: true, offset: 5, head: 5 });
  clock.advance((await heard.next("state", ({ reason }) => reason?.detail.includes("another place"))).retryInMs);
  const third = await server.visit();
  assert.deepEqual(third.hello, { type: "hello", version: 3, ticket: "ticket-2" });
  assert.equal(tickets.asked, 2);
  assert.equal(room.offset, 0);
});

test("when a welcome is lost on the way, the old resume token is sent again", async (t) => {
  const { room, server, clock, heard, tickets } = await arrange(t);
  (await enter({ room, server })).drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  (await server.visit()).drop(); // resumed over there, but nobody told us
  clock.advance((await heard.next("state", ({ retryInMs }) => retryInMs !== undefined)).retryInMs);
  const third = await server.visit();
  assert.equal(third.hello.resume.token, "resume-1");
  third.welcome({ recovered: true });
  await heard.state("joined");
  assert.equal(tickets.asked, 1);
});

test("a resume token refused falls back to a ticket at once", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  (await enter({ room, server })).drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  (await server.visit()).bye(4102);
  assert.deepEqual((await server.visit()).hello, { type: "hello", version: 3, ticket: "ticket-2" });
});

test("after three failed returns it asks where the relay is now, and still resumes", async (t) => {
  const { room, server, clock, heard, tickets } = await arrange(t);
  (await enter({ room, server })).drop();
  for (let failures = 1; failures <= 3; failures++) {
    clock.advance((await heard.next("state", ({ retryInMs }) => retryInMs !== undefined)).retryInMs);
    const visit = await server.visit();
    assert.equal(visit.hello.resume.token, "resume-1");
    if (failures < 3) visit.drop();
  }
  assert.equal(tickets.asked, 2);
});

test("waiting grows while returns fail, and starts anew after a connection that held", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const waits = [];
  let visit = await enter({ room, server });
  for (let i = 0; i < 4; i++) {
    visit.drop();
    const { retryInMs } = await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
    waits.push(retryInMs);
    clock.advance(retryInMs);
    visit = await server.visit();
  }
  visit.welcome({ recovered: true });
  await heard.state("joined");
  clock.advance(10_000);
  visit.drop();
  waits.push((await heard.next("state", ({ retryInMs }) => retryInMs !== undefined)).retryInMs);
  assert.deepEqual(waits, [150, 300, 600, 1200, 150]);
});

test("silence is a lost connection, however the socket looks", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const visit = await enter({ room, server }, { pingMs: 20_000 });
  clock.advance(49_000);
  await synced(visit); // any frame counts
  clock.advance(49_999);
  assert.equal(room.state, "joined");
  clock.advance(1);
  assert.match((await heard.state("reconnecting")).reason.detail, /Nothing came/);
});

test("a tab that slept comes back at once when it wakes", async (t) => {
  const { room, server, clock, heard, wake } = await arrange(t);
  const first = await enter({ room, server });
  clock.sleep(3_600_000); // its timers have not run, and will not before it is looked at
  wake.dispatchEvent(new Event("visibilitychange"));
  const second = await server.visit();
  assert.equal(second.hello.resume.token, "resume-1");
  assert.equal(await first.gone, 3000);
  second.welcome({ recovered: true });
  await heard.state("joined");
});

test("a throttled tab that hears the relay is not taken for dead by its late timers", async (t) => {
  const { room, server, clock } = await arrange(t);
  const visit = await enter({ room, server });
  for (let minute = 0; minute < 5; minute++) {
    clock.sleep(45_000);
    await synced(visit);
    clock.advance(15_000);
  }
  assert.equal(room.state, "joined");
  assert.equal(server.untaken, 1);
});

test("waking cuts our own backoff short", async (t) => {
  const { room, server, heard, wake } = await arrange(t);
  (await enter({ room, server })).drop();
  await heard.state("reconnecting");
  wake.dispatchEvent(new Event("online"));
  assert.equal((await server.visit()).hello.resume.token, "resume-1");
});

test("a network that comes back moves the client over without dropping what still works", async (t) => {
  const { room, server, heard, wake } = await arrange(t);
  const first = await enter({ room, server });
  wake.dispatchEvent(new Event("online"));
  await heard.state("migrating");
  const second = await server.visit();
  first.event("chat", { text: "still heard" });
  await synced(first);
  second.welcome({ recovered: true });
  await heard.state("joined");
  assert.equal(heard.all("chat").length, 1);
});

test("no welcome in time is a failed try", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  room.join().catch(() => {});
  await server.visit();
  clock.advance(10_000);
  const { reason, state } = await heard.next("state", ({ reason }) => reason);
  assert.equal(state, "connecting");
  assert.match(reason.detail, /No welcome/);
});

for (const [status, action] of [[401, "ask"], [403, "ask"], [404, "ask"], [409, "ask"], [410, "final"]]) {
  test(`a ticket refused with ${status} ends in refused (${action})`, async (t) => {
    const { room, heard } = await arrange(t, { getTicket: async () => { throw Object.assign(new Error(), { status, code: "room-full", detail: "The room is full." }); } });
    await assert.rejects(room.join(), { code: "room-full", detail: "The room is full." });
    assert.equal((await heard.state("refused")).reason.action, action);
  });
}

test("a room that is full of us is no reason to give up the seat we hold", async (t) => {
  let full = false;
  const { room, server, clock, heard } = await arrange(t, { getTicket: async () => {
    if (full) throw Object.assign(new Error(), { status: 409, code: "room-full" });
    return { ticket: "t", url: server.url };
  } });
  (await enter({ room, server })).drop();
  full = true;
  for (let failures = 1; failures <= 3; failures++) {
    clock.advance((await heard.next("state", ({ retryInMs }) => retryInMs !== undefined)).retryInMs);
    if (failures < 3) (await server.visit()).drop();
  }
  const { state, reason } = await heard.next("state", ({ reason }) => reason?.name === "room-full");
  assert.deepEqual([state, reason.action], ["reconnecting", "again"]);
});

for (const failure of [{ status: 0 }, { status: 429, retryAfterMs: 5_000 }, { status: 503 }, {}]) {
  test(`a ticket that failed with ${JSON.stringify(failure)} is asked for again`, async (t) => {
    let asked = 0;
    const { room, clock, heard } = await arrange(t, { getTicket: async () => { asked += 1; throw Object.assign(new Error("no"), failure); } });
    room.join().catch(() => {});
    const { retryInMs } = await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
    assert.equal(retryInMs, failure.retryAfterMs ? 5_150 : 150);
    clock.advance(retryInMs);
    await heard.next("state", ({ retryInMs }) => retryInMs !== undefined);
    assert.equal(asked, 2);
  });
}

test("a getTicket that never answers is given up and asked again", async (t) => {
  const { room, clock, heard } = await arrange(t, { getTicket: () => new Promise(() => {}) });
  room.join().catch(() => {});
  await new Promise(setImmediate);
  clock.advance(15_000);
  assert.equal((await heard.next("state", ({ reason }) => reason)).reason.name, "timeout");
});

test("an address that is none ends in refused instead of trying for ever", async (t) => {
  const { room } = await arrange(t, { getTicket: async () => ({ ticket: "t", url: "not a url" }) });
  await assert.rejects(room.join(), { code: "bad-url" });
});

test("leaving says so, closes with 1000 and leaves no timer behind", async (t) => {
  const { room, server, clock } = await arrange(t);
  const visit = await enter({ room, server }, { expiresIn: 3_600 });
  room.setPose({ root: null, bones: { head: [0, 0, 0, 1] }, expressions: {}, gaze: null });
  const left = room.leave();
  await visit.frame("leave");
  visit.bye(1000);
  await left;
  assert.equal(await visit.gone, 1000);
  assert.equal(room.state, "left");
  assert.equal(clock.waiting, 0);
});

test("leaving ends even if the relay does not answer, and a lost socket does not bring it back", async (t) => {
  const { room, server, clock } = await arrange(t);
  const visit = await enter({ room, server });
  const left = room.leave();
  await visit.frame("leave");
  clock.advance(2_000);
  await left;
  assert.equal(clock.waiting, 0);

  const again = await enter({ room, server });
  const leftAgain = room.leave();
  await again.frame("leave");
  again.drop();
  await leftAgain;
  assert.equal(room.state, "left");
});

test("joining again while still leaving is a new stay; leaving twice is once", async (t) => {
  const { room, server } = await arrange(t);
  const visit = await enter({ room, server });
  const left = [room.leave(), room.leave()];
  const joined = room.join();
  await visit.frame("leave");
  visit.bye(1000);
  await Promise.all(left);
  const next = await server.visit();
  assert.deepEqual(next.hello, { type: "hello", version: 3, ticket: "ticket-2" });
  next.welcome();
  await joined;
  assert.deepEqual(visit.unread, []);
});

test("leaving while a ticket is on its way rejects join, and the ticket is not used", async (t) => {
  let give = () => {};
  const { room, server, clock } = await arrange(t, { getTicket: () => new Promise((resolve) => { give = resolve; }) });
  const joined = room.join();
  await new Promise(setImmediate);
  await room.leave();
  await assert.rejects(joined, { code: "left" });
  give({ ticket: "late", url: server.url });
  await new Promise(setImmediate);
  assert.equal(server.untaken, 0);
  assert.equal(clock.waiting, 0);
});

test("a session is extended in place before it ends, and the new resume token is used", async (t) => {
  const { room, server, clock, heard } = await arrange(t);
  const visit = await enter({ room, server }, { expiresIn: 200, pingMs: 1_000_000 });
  clock.advance(140_000);
  assert.deepEqual(await visit.frame("refresh"), { type: "refresh", ticket: "ticket-2" });
  await synced(visit);
  clock.advance(10_000); // no answer: once more
  assert.deepEqual(await visit.frame("refresh"), { type: "refresh", ticket: "ticket-3" });
  visit.send({ type: "refreshed", resume: "resume-fresh", expiresIn: 200 });
  await synced(visit);
  clock.advance(139_999);
  assert.deepEqual(visit.unread, []);
  visit.drop();
  clock.advance((await heard.state("reconnecting")).retryInMs);
  assert.equal((await server.visit()).hello.resume.token, "resume-fresh");
});
