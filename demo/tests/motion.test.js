/** A body may do anything but break: every pose is whole, and nobody walks through a wall. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { EMOTES } from "../emotes.js";
import { Motion } from "../motion.js";
import { Walker } from "../walker.js";
import { PoseDecoder, PoseEncoder } from "../../client/index.js";

const FRAME_S = 1 / 60;
const here = { x: 0, z: 0, yaw: 0, speed: 0 };
const even = () => 0.5;

/** @param {any} pose */
function assertWhole(pose) {
  for (const [name, q] of Object.entries({ ...pose.bones, root: pose.root.rotation })) {
    assert.ok(Math.abs(Math.hypot(.../** @type {number[]} */ (q)) - 1) < 1e-9, `${name} is ${q}`);
  }
  for (const [name, weight] of Object.entries(pose.expressions)) assert.ok(/** @type {number} */ (weight) >= 0 && /** @type {number} */ (weight) <= 1, `${name} is ${weight}`);
  assert.ok(pose.root.position.every(Number.isFinite) && pose.gaze.every(Number.isFinite));
}

for (const [name, { seconds }] of Object.entries(EMOTES)) {
  test(`${name} begins, moves the body, and ends as it began`, () => {
    const [acting, idle] = [new Motion(even), new Motion(even)];
    acting.act(name);
    let most = 0;
    for (let time = 0; time < seconds + 0.1; time += FRAME_S) {
      const pose = acting.update(FRAME_S, here, null);
      const still = idle.update(FRAME_S, here, null);
      assertWhole(pose);
      for (const bone in pose.bones) most = Math.max(most, ...pose.bones[bone].map((value, i) => Math.abs(value - still.bones[bone][i])));
    }
    assert.ok(most > 0.1, `the largest difference to standing still was ${most}`);
    assert.equal(acting.emote, null);
    assert.deepEqual(acting.pose.bones, idle.pose.bones);
  });
}

test("walking ends what the legs take part in, and nothing else", () => {
  for (const [name, { whole }] of Object.entries(EMOTES)) {
    const motion = new Motion(even);
    motion.act(name);
    for (let i = 0; i < 40; i++) assertWhole(motion.update(FRAME_S, { ...here, speed: 1.5 }, null));
    assert.equal(motion.emote, whole ? null : name);
  }
});

test("a body at rest breathes and blinks, even when nothing happens", () => {
  const motion = new Motion(even);
  const chest = new Set();
  let blink = 0;
  for (let i = 0; i < 60 * 6; i++) {
    const pose = motion.update(FRAME_S, here, null);
    chest.add(pose.bones.chest[0].toFixed(3));
    blink = Math.max(blink, pose.expressions.blink);
  }
  assert.ok(chest.size > 5);
  assert.ok(blink > 0.9);
});

test("others see the pose that is shown here", () => {
  const motion = new Motion(even);
  motion.act("dance");
  for (let i = 0; i < 90; i++) motion.update(FRAME_S, { x: 1.5, z: -2.25, yaw: 1, speed: 0 }, { yaw: 1.3, pitch: 0.1 });
  const body = new PoseEncoder().encode(/** @type {any} */ (motion.pose), 1, { keyframe: true });
  const seen = new PoseDecoder().decode(/** @type {Uint8Array} */ (body), 1);
  assert.ok(seen?.root);
  seen.root.position.forEach((value, i) => assert.ok(Math.abs(value - motion.pose.root.position[i]) < 0.01));
  for (const bone in motion.pose.bones) {
    const [a, b] = [motion.pose.bones[bone], /** @type {any} */ (seen.bones)[bone]];
    const turn = 2 * Math.acos(Math.min(1, Math.abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3])));
    assert.ok(turn < 0.035, `${bone} is ${turn} rad off`);
  }
});

test("nobody leaves the room or walks through what stands in it", () => {
  const obstacle = { x: 0, z: 3, radius: 1 };
  const walker = new Walker(8, [obstacle]);
  for (let i = 0; i < 3000; i++) {
    const heading = i / 400;
    walker.step(FRAME_S, { x: Math.sin(heading), y: Math.cos(heading), run: true }, 0);
    assert.ok(Math.hypot(walker.x, walker.z) <= 8);
    assert.ok(Math.hypot(walker.x - obstacle.x, walker.z - obstacle.z) >= obstacle.radius);
  }
});

test("forward is where the camera looks, right is to its right", () => {
  const walker = new Walker(50, []);
  for (let i = 0; i < 120; i++) walker.step(FRAME_S, { x: 0, y: 1, run: false }, Math.PI);
  assert.ok(walker.z < -2 && Math.abs(walker.x) < 1);
  const right = new Walker(50, []);
  for (let i = 0; i < 120; i++) right.step(FRAME_S, { x: 1, y: 0, run: false }, Math.PI);
  assert.ok(right.x > 2 && Math.abs(right.z) < 1);
});
