/** Smooth avatars: properties that must hold whatever was lost, late or throttled. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { PoseBuffer } from "../interpolation.js";
import { blendPoses, emptyPose, slerp } from "../pose-blend.js";
import { MAX_DELAY_MS, MIN_DELAY_MS, TickClock } from "../tick-clock.js";

const identity = [0, 0, 0, 1];

function at(x, more = {}) {
  return { root: { position: [x, 0, 0], rotation: identity }, bones: {}, expressions: {}, gaze: null, ...more };
}

function x(buffer, ms) {
  const out = emptyPose();
  assert.equal(buffer.sample(ms, out), true);
  return out.root.position[0];
}

/** A seeded generator, so that a failure can be repeated (mulberry32). */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function randomRotation(random) {
  const q = Array.from({ length: 4 }, () => random() * 2 - 1);
  const length = Math.hypot(...q);
  return q.map((value) => value / length);
}

const angle = (a, b) => 2 * Math.acos(Math.min(1, Math.abs(a.reduce((sum, value, i) => sum + value * b[i], 0))));

test("nothing is shown before the first pose", () => {
  const out = emptyPose();
  assert.equal(new PoseBuffer().sample(0, out), false);
  assert.deepEqual(out, emptyPose());
});

test("between two poses the avatar moves evenly", () => {
  const buffer = new PoseBuffer();
  buffer.push(1000, at(0));
  buffer.push(1050, at(1));
  for (const share of [0, 0.25, 0.5, 1]) assert.ok(Math.abs(x(buffer, 1000 + 50 * share) - share) < 1e-9);
});

test("slerp is the shorter arc at even speed, of length 1, whatever the signs", () => {
  const random = generator(1);
  for (let i = 0; i < 2_000; i++) {
    const [a, b, t] = [randomRotation(random), randomRotation(random), random()];
    const mixed = slerp(a, b, t, [0, 0, 0, 0]);
    assert.ok(Math.abs(Math.hypot(...mixed) - 1) < 1e-9);
    const whole = angle(a, b);
    assert.ok(whole <= Math.PI + 1e-9);
    assert.ok(Math.abs(angle(a, mixed) - t * whole) < 1e-6);
    assert.ok(Math.abs(angle(mixed, b) - (1 - t) * whole) < 1e-6);
    const other = slerp(a, b.map((value) => -value), t, [0, 0, 0, 0]);
    assert.ok(angle(mixed, other) < 1e-6);
  }
});

test("rotations that are almost the same mix without dividing by nothing", () => {
  const mixed = slerp(identity, [1e-9, 0, 0, 1], 0.5, [0, 0, 0, 0]);
  assert.ok(mixed.every(Number.isFinite));
  assert.deepEqual(slerp(identity, identity, 0.3, [9, 9, 9, 9]), identity);
});

test("what is drawn never leaves the poses it lies between, at any moment", () => {
  const random = generator(2);
  const buffer = new PoseBuffer();
  const times = [];
  for (let time = 0; time < 1500; time += 20 + random() * 80) {
    buffer.push(time, at(random()));
    times.push(time);
  }
  for (let ms = times[0]; ms <= times.at(-1); ms += 7) {
    const value = x(buffer, ms);
    assert.ok(value >= 0 && value <= 1, `${value} at ${ms}`);
  }
});

test("a lost pose costs smoothness, not correctness", () => {
  const [all, some] = [new PoseBuffer(), new PoseBuffer()];
  for (let i = 0; i <= 10; i++) {
    all.push(i * 50, at(i));
    if (i % 3 !== 1) some.push(i * 50, at(i));
  }
  for (let ms = 100; ms < 500; ms += 10) assert.ok(Math.abs(x(all, ms) - x(some, ms)) < 1e-9);
});

test("beyond the newest pose it goes on for a moment, then is held exactly there", () => {
  const buffer = new PoseBuffer();
  buffer.push(0, at(0));
  buffer.push(50, at(0.1)); // 2 m/s
  assert.ok(x(buffer, 100) > 0.1);
  assert.ok(x(buffer, 150) <= 0.1 + 0.2 + 1e-9); // never more than 100 ms ahead
  let before = x(buffer, 150);
  for (let ms = 160; ms <= 350; ms += 10) {
    const now = x(buffer, ms);
    assert.ok(now <= before + 1e-9);
    before = now;
  }
  for (const ms of [350, 400, 60_000]) assert.ok(Math.abs(x(buffer, ms) - 0.1) < 1e-9);
});

test("after a pause the avatar sets off from where it stood, without a jump", () => {
  const buffer = new PoseBuffer();
  buffer.push(0, at(0));
  buffer.push(5_000, at(1)); // it stood for five seconds, or its tab was throttled
  assert.equal(x(buffer, 4_880), 0);
  let before = 0;
  for (let ms = 4_880; ms <= 5_000; ms += 4) {
    const now = x(buffer, ms);
    assert.ok(now >= before && now - before < 0.05, `${before} to ${now}`);
    before = now;
  }
  assert.ok(Math.abs(before - 1) < 1e-9);
});

test("a teleport is a jump, not a flight", () => {
  const buffer = new PoseBuffer();
  buffer.push(0, at(0));
  buffer.push(50, at(30));
  for (const ms of [0, 10, 49]) assert.equal(x(buffer, ms), 0);
  for (const ms of [50, 60, 1_000]) assert.equal(x(buffer, ms), 30);
});

test("what a pose does not say stays as it was", () => {
  const buffer = new PoseBuffer();
  buffer.push(0, at(0, { bones: { head: [0, 0.6, 0, 0.8] }, expressions: { happy: 1 }, gaze: [10, 5] }));
  buffer.push(50, { root: null, bones: { neck: identity }, expressions: {}, gaze: null });
  const out = emptyPose();
  buffer.sample(60, out);
  assert.ok(angle(out.bones.head, [0, 0.6, 0, 0.8]) < 1e-7);
  assert.deepEqual([out.root.position, out.expressions.happy, out.gaze], [[0, 0, 0], 1, [10, 5]]);
});

test("a keyframe and a pose of the same tick are one pose", () => {
  const buffer = new PoseBuffer();
  buffer.push(0, at(0, { bones: { head: identity } }));
  buffer.push(0, at(1));
  assert.equal(x(buffer, 0), 1);
});

test("an older pose never undoes a newer one", () => {
  const buffer = new PoseBuffer();
  buffer.push(100, at(1));
  buffer.push(50, at(0));
  assert.equal(x(buffer, 60), 1);
});

test("poses given are copied: the page may reuse its own", () => {
  const buffer = new PoseBuffer();
  const mine = at(1);
  buffer.push(0, mine);
  mine.root.position[0] = 99;
  assert.equal(x(buffer, 0), 1);
});

test("an avatar that is not drawn does not grow its buffer, and drawing reuses its arrays", () => {
  const buffer = new PoseBuffer();
  for (let i = 0; i < 10_000; i++) buffer.push(i * 50, at(i % 2));
  const out = emptyPose();
  assert.equal(buffer.sample(0, out), true);
  assert.ok(out.root.position[0] <= 1); // the oldest still kept
  const position = out.root.position;
  buffer.sample(9_999 * 50 - 25, out);
  assert.equal(out.root.position, position);
  assert.ok(Math.abs(position[0] - 0.5) < 1e-9);
});

test("over a change of relay the avatar stays, and goes on with the first new pose", () => {
  const buffer = new PoseBuffer();
  buffer.push(5_000, at(0));
  buffer.push(5_050, at(1));
  buffer.restart();
  assert.equal(x(buffer, 4_000), 1);
  buffer.push(4_100, at(1.5)); // its clock is behind
  assert.equal(x(buffer, 4_000), 1);
  assert.equal(x(buffer, 4_100), 1.5);
});

test("mixing keeps what only one side has", () => {
  const out = emptyPose();
  blendPoses(at(0, { expressions: { aa: 0 } }), at(1, { expressions: { aa: 1, oh: 0.5 }, gaze: [4, 2] }), 0.5, out);
  assert.deepEqual(out.expressions, { aa: 0.5, oh: 0.5 });
  assert.deepEqual(out.gaze, [4, 2]);
});

/** Ticks every 50 ms, each with its own way; calls back in order of arrival. */
function ticks(count, wayMs, skewMs = 777) {
  let last = 0;
  return Array.from({ length: count }, (_, i) => {
    last = Math.max(last, i * 50 + wayMs(i)); // a socket keeps its order
    return { server: i * 50 + skewMs, arrived: last };
  });
}

test("drawing is 100 ms late on an even network and at most 150 ms on a rough one, behind the fastest tick", () => {
  for (const [jitter, least, most] of [[0, MIN_DELAY_MS, MIN_DELAY_MS], [120, MIN_DELAY_MS + 15, MAX_DELAY_MS]]) {
    const random = generator(3);
    const clock = new TickClock();
    let arrivedLast = 0;
    for (const { server, arrived } of ticks(200, () => 30 + (random() < 0.5 ? 0 : random() * jitter))) {
      clock.observe(server, arrived);
      arrivedLast = arrived;
    }
    const lag = arrivedLast + 777 - 30 - clock.drawingTime(arrivedLast);
    assert.ok(lag >= least - 1e-6 && lag <= most + 1e-6, `${lag} for jitter ${jitter}`);
  }
});

test("drawn time never runs backwards and never faster than a tenth, whatever the jitter", () => {
  const random = generator(4);
  const clock = new TickClock();
  let [drawn, when] = [NaN, NaN];
  for (const { server, arrived } of ticks(400, (i) => (i < 200 ? 20 : 60) + random() * 80)) {
    clock.observe(server, arrived);
    const now = clock.drawingTime(arrived);
    if (!Number.isNaN(drawn)) {
      assert.ok(now >= drawn - 1e-9, "backwards");
      assert.ok(now - drawn <= (arrived - when) * 1.1 + 1e-9, "too fast");
    }
    [drawn, when] = [now, arrived];
  }
});

test("on an even network every pose is there before it is drawn", () => {
  const random = generator(5);
  const clock = new TickClock();
  for (const { server, arrived } of ticks(200, () => 40 + random() * 40)) {
    clock.observe(server, arrived);
    assert.ok(clock.drawingTime(arrived) <= server, "a pose came too late to be drawn");
  }
});

test("a burst of held-back ticks, as after a frozen tab, does not move the clock back for good", () => {
  const clock = new TickClock();
  for (let i = 0; i < 100; i++) clock.observe(i * 50, i * 50 + 20);
  for (let i = 100; i < 700; i++) clock.observe(i * 50, 35_000); // thirty seconds of ticks at once
  for (let i = 700; i < 900; i++) clock.observe(i * 50, i * 50 + 20);
  const late = 900 * 50 + 20 - clock.drawingTime(900 * 50 + 20);
  assert.ok(late <= MAX_DELAY_MS + 20 + 1, `${late}`);
});

test("a route that became longer for good is followed", () => {
  const clock = new TickClock();
  for (let i = 0; i < 100; i++) clock.observe(i * 50, i * 50 + 20);
  for (let i = 100; i < 300; i++) clock.observe(i * 50, i * 50 + 320);
  assert.ok(clock.drawingTime(300 * 50 + 320) <= 300 * 50 - MIN_DELAY_MS + 1);
});

test("after a long silence the way is measured anew at once", () => {
  const clock = new TickClock();
  for (let i = 0; i < 50; i++) clock.observe(i * 50, i * 50 + 20);
  clock.observe(60_000, 60_320);
  assert.equal(60_320 - clock.drawingTime(60_320), 320 + MIN_DELAY_MS);
});
