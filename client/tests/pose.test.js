import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { BONES, EXPRESSIONS, PoseDecoder, PoseEncoder, PoseError } from "../pose.js";

/** @param {string} name @returns {any[]} */
const vectors = (name) => JSON.parse(readFileSync(new URL(`../../tests/vectors/pose/${name}.json`, import.meta.url), "utf8"));
/** @param {string} text */
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
/** @param {Uint8Array | null} body */
const hex = (body) => body && Buffer.from(body).toString("hex");

/** @param {any} actual @param {any} expected @param {string} where */
function assertClose(actual, expected, where) {
  if (typeof expected === "number") {
    assert.ok(Math.abs(actual - expected) <= 1e-6, `${where}: ${actual} is not ${expected}`);
  } else if (expected === null) {
    assert.equal(actual, null, where);
  } else {
    assert.deepEqual(Object.keys(actual).sort(), Object.keys(expected).sort(), where);
    for (const key of Object.keys(expected)) assertClose(actual[key], expected[key], `${where}.${key}`);
  }
}

/** @param {import("../pose-rotation.js").Numbers} a @param {import("../pose-rotation.js").Numbers} b unit quaternions */
function degreesBetween(a, b) {
  let dot = 0;
  for (let i = 0; i < 4; i++) dot += a[i] * b[i];
  let square = 0;
  for (let i = 0; i < 4; i++) square += (a[i] - Math.sign(dot) * b[i]) ** 2;
  return (4 * Math.asin(Math.min(1, Math.sqrt(square) / 2)) * 180) / Math.PI;
}

/** Numbers from a seed (mulberry32). @param {number} seed */
function generator(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test("the encoder says every golden pose in the same bytes as any other", () => {
  for (const { name, keyframeEvery, steps } of vectors("encode")) {
    const encoder = new PoseEncoder({ keyframeEvery });
    for (const { pose, seq, keyframe, body } of steps) {
      assert.equal(hex(encoder.encode(pose, seq, { keyframe })), body, `${name}, seq ${seq}`);
    }
  }
});

test("the decoder shows every golden session as any other, whatever was lost", () => {
  for (const { name, steps } of vectors("decode")) {
    const decoder = new PoseDecoder();
    for (const { seq, body, pose, needsKeyframe } of steps) {
      assertClose(decoder.decode(bytes(body), seq), pose, `${name}, seq ${seq}`);
      assert.equal(decoder.needsKeyframe, needsKeyframe, `${name}, seq ${seq}`);
    }
  }
});

test("thinned bodies decode to a part of the pose", () => {
  for (const { name, body, middle, far } of vectors("thin")) {
    for (const thinned of [middle, far]) {
      const whole = new PoseDecoder().decode(bytes(body), 9);
      const part = new PoseDecoder().decode(bytes(thinned), 9);
      assert.deepEqual(part.root, whole.root, name);
      for (const bone in part.bones) assert.deepEqual(part.bones[bone], whole.bones[bone], name);
    }
  }
});

test("a malformed body is refused with the reason and leaves the decoder as it was", () => {
  const [keyframe, delta] = vectors("encode")[0].steps;
  for (const { name, body, seq, error } of vectors("malformed")) {
    const decoder = new PoseDecoder();
    decoder.decode(bytes(keyframe.body), keyframe.seq);
    assert.throws(() => decoder.decode(bytes(body), seq), (thrown) => thrown instanceof PoseError && thrown.message === error, name);
    const pose = decoder.decode(bytes(delta.body), delta.seq);
    assert.equal(decoder.needsKeyframe, false, name);
    assert.deepEqual(Object.keys(pose.bones), Object.keys(delta.pose.bones).sort((a, b) => BONES.indexOf(a) - BONES.indexOf(b)), name);
  }
});

test("no bytes make the decoder throw anything but PoseError", () => {
  const random = generator(1);
  const bodies = vectors("encode").flatMap(({ steps }) => steps.map((/** @type {any} */ step) => step.body)).filter(Boolean).map(bytes);
  const decoder = new PoseDecoder();
  let refused = 0;
  for (let round = 0; round < 20_000; round++) {
    const body = round % 2 ? Uint8Array.from({ length: random() * 80 }, () => random() * 256) : bodies[Math.floor(random() * bodies.length)].slice();
    if (round % 4 === 1 && body.length) body[0] = 1;
    for (let flips = random() * 4; flips > 0 && body.length; flips--) body[Math.floor(random() * body.length)] ^= 1 << (random() * 8);
    try {
      const pose = decoder.decode(body, Math.floor(random() * 65536));
      for (const bone in pose.bones) {
        const q = pose.bones[bone];
        assert.ok(Math.abs(Math.hypot(q[0], q[1], q[2], q[3]) - 1) < 1e-9, "a bone is always a unit quaternion");
      }
    } catch (error) {
      if (!(error instanceof PoseError)) throw error;
      refused++;
    }
  }
  assert.ok(refused > 0);
});

test("what is shown is never further than 0.298° from what was given", () => {
  const random = generator(2);
  /** @param {number} size @returns {number[]} */
  const near = (size) => Array.from({ length: 4 }, () => (random() - 0.5) * size);
  const encoder = new PoseEncoder();
  const decoder = new PoseDecoder();
  let shown = null;
  let seq = 0;
  const first = BONES.map(() => near(2));
  for (let frame = 0; frame < 200; frame++) {
    const size = 10 ** (-3 * random());
    const pose = { root: null, bones: /** @type {{[name: string]: number[]}} */ ({}), expressions: {}, gaze: null };
    BONES.forEach((bone, i) => {
      const q = near(size).map((value, axis) => value + first[i][axis]);
      const length = Math.hypot(...q);
      pose.bones[bone] = q.map((value) => value / length);
    });
    const body = encoder.encode(pose, seq);
    if (body) shown = decoder.decode(body, seq++);
    for (const bone of BONES) assert.ok(degreesBetween(shown.bones[bone], pose.bones[bone]) <= 0.2981, `${bone} in frame ${frame}`);
  }
});

test("a pose that cannot be said is refused and changes nothing", () => {
  const encoder = new PoseEncoder();
  const still = { root: null, bones: { head: [0, 0, 0, 1] }, expressions: {}, gaze: null };
  encoder.encode(still, 0);
  /** @type {any[]} */
  const wrong = [
    { ...still, bones: { tail: [0, 0, 0, 1] } },
    { ...still, bones: { head: [0, 0, 0, 0] } },
    { ...still, bones: { head: [NaN, 0, 0, 1] } },
    { ...still, bones: { head: undefined } },
    { ...still, expressions: { smirk: 1 } },
    { ...still, expressions: { aa: NaN } },
    { ...still, gaze: [Infinity, 0] },
    { ...still, root: { position: [0, NaN, 0], rotation: [0, 0, 0, 1] } },
  ];
  for (const pose of wrong) assert.throws(() => encoder.encode(pose, 1), PoseError);
  for (const seq of [-1, 65536, 1.5, NaN]) assert.throws(() => encoder.encode(still, seq), PoseError);
  assert.equal(encoder.encode(still, 1), null);
});

test("a decoded pose is the caller's to keep", () => {
  const { steps } = vectors("decode")[0];
  const decoder = new PoseDecoder();
  const kept = decoder.decode(bytes(steps[0].body), steps[0].seq);
  const copy = structuredClone(kept);
  decoder.decode(bytes(steps[1].body), steps[1].seq);
  assert.deepEqual(kept, copy);
});

test("there are 55 bones and 18 expressions, each once", () => {
  assert.equal(new Set(BONES).size, 55);
  assert.equal(new Set(EXPRESSIONS).size, 18);
});
