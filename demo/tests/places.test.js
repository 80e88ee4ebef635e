/** Who comes in stands beside the others, not in them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { OBSTACLES, ROOM_RADIUS } from "../ground.js";
import { placeOf } from "../places.js";

const BODY_M = 0.3;
const places = Array.from({ length: 40 }, (_, seat) => placeOf(seat));

test("nobody comes in nearer to anybody than an arm's length, however full the room", () => {
  places.forEach((a, i) => {
    for (const b of places.slice(0, i)) assert.ok(Math.hypot(a.x - b.x, a.z - b.z) > 0.8, `seat ${i}`);
  });
});

test("everybody comes in on the terrace, in nothing, and facing the middle", () => {
  places.forEach(({ x, z, yaw }, seat) => {
    assert.ok(Math.hypot(x, z) < ROOM_RADIUS - BODY_M, `seat ${seat}`);
    for (const thing of OBSTACLES) assert.ok(Math.hypot(x - thing.x, z - thing.z) > thing.radius + BODY_M, `seat ${seat}`);
    const far = Math.hypot(x, z);
    assert.ok(Math.hypot(x + far * Math.sin(yaw), z + far * Math.cos(yaw)) < 1e-9, `seat ${seat}`);
  });
});

test("seats that count up for ever always have a place", () => {
  for (const seat of [0, 41, 65_535]) for (const value of Object.values(placeOf(seat))) assert.ok(Number.isFinite(value));
});
