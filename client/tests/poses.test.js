/** Poses through a room: ours out, theirs in. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocket } from "ws";
import { isNewer, poseFrame, readTick, unwrapTime } from "../frames.js";
import { PoseDecoder, PoseEncoder } from "../pose.js";
import { RemoteAvatars } from "../remote-avatars.js";
import { arrange, enter, memoryStorage, synced } from "./arrange.js";
import { ME, OTHER } from "./scripted-server.js";

const SERVER_TIME = 1_900_000_000_000;

function pose(x, more = {}) {
  return { root: { position: [x, 0, 0], rotation: [0, 0, 0, 1] }, bones: { head: [0, 0, 0, 1] }, expressions: {}, gaze: null, ...more };
}

/** A tick frame as the relay makes it. */
function tick(number, serverTime, avatars, flags = 0) {
  const frame = Buffer.alloc(8 + avatars.reduce((sum, { body }) => sum + 6 + body.length, 0));
  frame.writeUInt8(2, 0);
  frame.writeUInt8(flags, 1);
  frame.writeUInt16LE(number, 2);
  frame.writeUInt32LE(serverTime % 2 ** 32, 4);
  let at = 8;
  for (const { seat, seq, body } of avatars) {
    frame.writeUInt16LE(seat, at);
    frame.writeUInt16LE(seq, at + 2);
    frame.writeUInt16LE(body.length, at + 4);
    frame.set(body, at + 6);
    at += 6 + body.length;
  }
  return frame;
}

function read(frame) {
  return { kind: frame[0], flags: frame[1], seq: frame.readUInt16LE(2), body: new Uint8Array(frame.subarray(4)) };
}

/** Whether somebody who knows nothing yet understands it whole. */
function isKeyframe(body) {
  return new PoseDecoder().decode(body, 7).bones.head !== undefined;
}

const encode = (encoder, x, seq, keyframe = false) => ({ seat: OTHER.seat, seq, body: encoder.encode(pose(x), seq, { keyframe }) });

test("a pose frame is kind, flags, seq and body, little-endian", () => {
  assert.deepEqual([...poseFrame(0x1234, Uint8Array.of(1, 2, 3))], [1, 0, 0x34, 0x12, 1, 2, 3]);
  assert.throws(() => poseFrame(0, new Uint8Array(0)), RangeError);
  assert.throws(() => poseFrame(0, new Uint8Array(513)), RangeError);
});

test("a tick frame is read whole or not at all", () => {
  const whole = tick(258, SERVER_TIME, [{ seat: 513, seq: 7, body: Buffer.from([1, 9]) }], 1);
  const buffer = (bytes) => new Uint8Array(bytes).buffer;
  const { everyone, tick: number, serverTime32, avatars } = readTick(buffer(whole));
  assert.deepEqual([everyone, number, serverTime32], [true, 258, SERVER_TIME % 2 ** 32]);
  assert.deepEqual(avatars.map(({ seat, seq, body }) => [seat, seq, [...body]]), [[513, 7, [1, 9]]]);
  for (let length = 0; length < whole.length; length++) {
    if (length !== 8) assert.throws(() => readTick(buffer(whole.subarray(0, length))), RangeError, `cut at ${length}`);
  }
});

test("sequence numbers and times go on over their wrap", () => {
  assert.equal(isNewer(0, 65535), true);
  assert.equal(isNewer(65535, 0), false);
  assert.equal(isNewer(5, 5), false);
  for (const drift of [0, 1, -1, 100_000, -100_000]) {
    for (const near of [SERVER_TIME, 2 ** 32 * 400 - 3, 2 ** 32 * 400 + 3]) assert.equal(unwrapTime((near + drift) % 2 ** 32, near), near + drift);
  }
});

test("poses go out at the room's pace, the newest only, the first whole", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { tickHz: 20 });
  for (const x of [1, 2, 3]) stage.room.setPose(pose(x));
  const first = read(await visit.pose());
  assert.deepEqual([first.kind, first.flags, first.seq], [1, 0, 0]);
  const decoder = new PoseDecoder();
  assert.ok(Math.abs(decoder.decode(first.body, 0).root.position[0] - 1) < 0.01);
  stage.clock.advance(50);
  const second = read(await visit.pose());
  assert.equal(second.seq, 1);
  assert.ok(Math.abs(decoder.decode(second.body, 1).root.position[0] - 3) < 0.01);
});

test("the relay's pose limit holds when it is below its tick rate", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { tickHz: 20, limits: { poseHz: 10 } });
  stage.room.setPose(pose(1));
  await visit.pose();
  stage.room.setPose(pose(2));
  stage.clock.advance(99);
  await synced(visit);
  assert.deepEqual(visit.unreadPoses, []);
  stage.clock.advance(1);
  await visit.pose();
});

test("an avatar at rest says so once, whole, and then nothing", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { pingMs: 10_000_000 });
  stage.room.setPose(pose(0));
  stage.clock.advance(50);
  for (let i = 0; i < 10; i++) {
    stage.room.setPose(pose(i / 10));
    stage.clock.advance(50);
  }
  await synced(visit);
  const moving = visit.unreadPoses.length;
  assert.equal(moving, 10);
  for (let i = 0; i < 200; i++) {
    stage.room.setPose(pose(0.9));
    stage.clock.advance(50);
  }
  await synced(visit);
  assert.equal(visit.unreadPoses.length, moving + 1);
  assert.equal(isKeyframe(read(visit.unreadPoses.at(-1)).body), true);
});

test("a moving avatar sends a keyframe every two seconds", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { tickHz: 10, pingMs: 10_000_000 });
  for (let i = 0; i < 60; i++) {
    stage.room.setPose(pose(i / 100));
    stage.clock.advance(100);
  }
  await synced(visit);
  const keyframes = visit.unreadPoses.flatMap((frame, index) => (isKeyframe(read(frame).body) ? [index] : []));
  assert.deepEqual(keyframes, [0, 20, 40, 60]);
});

test("after a return the first pose is whole and the numbers go on", async (t) => {
  const stage = await arrange(t);
  const first = await enter(stage);
  stage.room.setPose(pose(1));
  await first.pose();
  first.drop();
  stage.clock.advance((await stage.heard.state("reconnecting")).retryInMs);
  const second = await stage.server.visit();
  second.welcome({ recovered: true });
  const { seq, body } = read(await second.pose());
  assert.ok(isNewer(seq, 0));
  assert.equal(isKeyframe(body), true);
});

test("after a reload the numbers go on above all that were used", async (t) => {
  const storage = memoryStorage();
  const before = await arrange(t, { storage });
  const first = await enter(before, { pingMs: 10_000_000 });
  let last = 0;
  for (let i = 0; i < 300; i++) {
    before.room.setPose(pose(i / 100));
    last = read(await first.pose()).seq;
    before.clock.advance(50);
  }
  first.drop();
  const after = await arrange(t, { storage, server: before.server });
  const joined = after.room.join();
  const second = await after.server.visit();
  second.welcome({ recovered: true });
  await joined;
  after.room.setPose(pose(0));
  const { seq } = read(await second.pose());
  assert.ok(isNewer(seq, last), `${seq} after ${last}`);
});

test("a spectator sends no poses", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { role: "spectator" });
  stage.room.setPose(pose(1));
  stage.clock.advance(200);
  await synced(visit);
  assert.deepEqual(visit.unreadPoses, []);
});

test("a pose that is none is told once, and the next good one goes out", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  for (let i = 0; i < 5; i++) {
    stage.room.setPose(pose(NaN));
    stage.clock.advance(50);
  }
  assert.deepEqual(stage.heard.all("error").map(({ code }) => code), ["bad-pose"]);
  stage.room.setPose(pose(1));
  stage.clock.advance(50);
  await visit.pose();
});

test("other people's poses come with the relay's time; our own, strangers' and foreign formats do not", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const body = new PoseEncoder().encode(pose(1), 5, { keyframe: true });
  visit.raw(tick(9, SERVER_TIME + 50, [
    { seat: ME.seat, seq: 1, body }, { seat: 77, seq: 1, body }, { seat: OTHER.seat, seq: 4, body: Buffer.from([200, 1]) }, { seat: OTHER.seat, seq: 5, body },
  ]));
  await synced(visit);
  const [only, ...rest] = stage.heard.all("pose");
  assert.deepEqual(rest, []);
  assert.deepEqual([only.seat, only.seq, only.serverTime], [2, 5, SERVER_TIME + 50]);
  assert.ok(Math.abs(only.pose.root.position[0] - 1) < 0.01);
  assert.equal(stage.heard.all("tick")[0].tick, 9);
  assert.deepEqual(stage.heard.all("error"), []);
});

test("a keyframe and the latest pose in one tick are both applied, in order", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const encoder = new PoseEncoder();
  visit.raw(tick(1, SERVER_TIME, [encode(encoder, 1, 65534, true), encode(encoder, 1.2, 2)], 1));
  visit.raw(tick(2, SERVER_TIME + 50, [{ seat: OTHER.seat, seq: 1, body: Buffer.from([1, 255]) }])); // older, not even looked at
  visit.raw(tick(3, SERVER_TIME + 100, [encode(encoder, 1.4, 3)]));
  await synced(visit);
  assert.deepEqual(stage.heard.all("pose").map(({ pose: { root } }) => Math.round(root.position[0] * 10) / 10), [1, 1.2, 1.4]);
  assert.deepEqual(stage.heard.all("error"), []);
});

test("a pose told with less and then whole, under the same number, is shown whole", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const [encoder, far] = [new PoseEncoder(), new PoseEncoder()];
  const turned = { bones: { head: [0, Math.SQRT1_2, 0, Math.SQRT1_2] } };
  encode(far, 1, 7, true);
  visit.raw(tick(1, SERVER_TIME, [encode(encoder, 1, 7, true)]));
  visit.raw(tick(2, SERVER_TIME + 50, [encode(far, 1.5, 8)])); // as a full room tells of those who are far
  visit.raw(tick(3, SERVER_TIME + 100, [{ seat: OTHER.seat, seq: 8, body: encoder.encode(pose(1.5, turned), 8, { keyframe: false }) }]));
  await synced(visit);
  const heads = stage.heard.all("pose").map(({ pose: { bones } }) => Math.round(bones.head[1] * 100) / 100);
  assert.deepEqual(heads, [0, 0, 0.71]);
  assert.deepEqual(stage.heard.all("error"), []);
});

test("somebody who began anew with low numbers is seen again", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  visit.raw(tick(1, SERVER_TIME, [encode(new PoseEncoder(), 1, 5000, true)]));
  visit.raw(tick(2, SERVER_TIME + 50, [encode(new PoseEncoder(), 2, 0, true)]));
  await synced(visit);
  assert.equal(stage.heard.all("pose").length, 2);
});

test("after a return everyone's poses are taken anew, even with the numbers seen before", async (t) => {
  const stage = await arrange(t);
  const everyone = tick(1, SERVER_TIME, [encode(new PoseEncoder(), 1, 9, true)], 1);
  const first = await enter(stage);
  first.raw(everyone);
  await synced(first);
  first.drop();
  stage.clock.advance((await stage.heard.state("reconnecting")).retryInMs);
  const second = await stage.server.visit();
  second.welcome({ recovered: true });
  second.raw(everyone);
  await synced(second);
  assert.equal(stage.heard.all("pose").length, 2);
});

test("a seat given to somebody else begins anew", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  visit.raw(tick(1, SERVER_TIME, [encode(new PoseEncoder(), 1, 9, true)]));
  visit.event("left");
  visit.event("joined", { userId: "u-next", name: "Ren" });
  visit.raw(tick(2, SERVER_TIME + 50, [encode(new PoseEncoder(), 2, 3, true)]));
  await synced(visit);
  assert.equal(stage.heard.all("pose").length, 2);
});

test("a body that cannot be read costs only itself", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  visit.raw(tick(1, SERVER_TIME, [{ seat: OTHER.seat, seq: 1, body: Buffer.from([1, 255, 255]) }, encode(new PoseEncoder(), 2, 2, true)]));
  await synced(visit);
  assert.deepEqual(stage.heard.all("error").map(({ code }) => code), ["bad-pose"]);
  assert.equal(stage.heard.all("pose").length, 1);
});

test("the way to the relay and back is measured by our own poses", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  stage.room.setPose(pose(1));
  const { seq, body } = read(await visit.pose());
  stage.clock.advance(40);
  visit.raw(tick(1, SERVER_TIME + 20, [{ seat: ME.seat, seq, body }]));
  assert.deepEqual(await stage.heard.next("latency"), { rttMs: 40, source: "pose" });
  const stored = stage.room.sendChat("hello");
  const { id } = await visit.frame("chat");
  stage.clock.advance(25);
  visit.send({ type: "ack", id, offset: 1 });
  await stored;
  assert.deepEqual(stage.room.latency, { rttMs: 25, source: "ack" });
  assert.equal(stage.heard.all("latency").length, 1); // at most once a second
});

test("the relay's clock is known to half the way", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage, { serverTime: SERVER_TIME });
  assert.equal(stage.room.serverNow(), SERVER_TIME);
  stage.clock.advance(1_000);
  assert.equal(stage.room.serverNow(), SERVER_TIME + 1_000);
  visit.raw(tick(1, SERVER_TIME + 1_010, [encode(new PoseEncoder(), 1, 1, true)])); // a faster one: the welcome had taken 10 ms longer
  await synced(visit);
  assert.equal(stage.room.serverNow(), SERVER_TIME + 1_010);
});

test("another connection is another way and another clock", async (t) => {
  const stage = await arrange(t);
  const first = await enter(stage, { serverTime: SERVER_TIME });
  stage.room.setPose(pose(1));
  const { seq, body } = read(await first.pose());
  first.raw(tick(1, SERVER_TIME, [{ seat: ME.seat, seq, body }]));
  await synced(first);
  assert.notEqual(stage.room.latency, null);
  first.drop();
  stage.clock.advance((await stage.heard.state("reconnecting")).retryInMs);
  const second = await stage.server.visit();
  second.welcome({ recovered: true, serverTime: SERVER_TIME - 90_000 });
  await stage.heard.state("joined");
  assert.equal(stage.room.latency, null);
  assert.equal(stage.room.serverNow(), SERVER_TIME - 90_000);
});

test("poses are not queued on a socket that does not take them; the next one after that is whole", async (t) => {
  let stuck = false;
  class Narrow extends WebSocket {
    get bufferedAmount() {
      return stuck ? 1_000_000 : 0;
    }
  }
  const stage = await arrange(t, { WebSocket: Narrow });
  const visit = await enter(stage);
  stuck = true;
  for (let i = 0; i < 5; i++) {
    stage.room.setPose(pose(i));
    stage.clock.advance(50);
  }
  await synced(visit);
  assert.deepEqual(visit.unreadPoses, []);
  stuck = false;
  stage.clock.advance(50);
  assert.equal(isKeyframe(read(await visit.pose()).body), true);
});

test("RemoteAvatars shows the others, keeps them over a return, and drops who left", async (t) => {
  const stage = await arrange(t);
  const visit = await enter(stage);
  const avatars = new RemoteAvatars(stage.room, { clock: stage.clock });
  assert.equal(avatars.sample(OTHER.seat), false);
  const encoder = new PoseEncoder();
  for (let i = 0; i <= 10; i++) {
    visit.raw(tick(i, SERVER_TIME + i * 50, [encode(encoder, i / 10, i, i === 0)]));
    await synced(visit);
    stage.clock.advance(50);
  }
  assert.equal(avatars.sample(OTHER.seat), true);
  const { position } = avatars.pose(OTHER.seat).root;
  assert.ok(position[0] > 0.7 && position[0] < 1, `between the poses 100 to 150 ms ago, not at ${position[0]}`);
  assert.equal(avatars.sample(ME.seat), false);

  visit.drop();
  stage.clock.advance((await stage.heard.state("reconnecting")).retryInMs);
  const second = await stage.server.visit();
  second.welcome({ recovered: true, head: 0 });
  await stage.heard.state("joined");
  second.raw(tick(1, SERVER_TIME + 5_000, []));
  await synced(second);
  assert.equal(avatars.sample(OTHER.seat), true);

  second.event("left");
  await synced(second);
  assert.equal(avatars.sample(OTHER.seat), false);
  avatars.close();
});
