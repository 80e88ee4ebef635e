/** A figure stands, looks and moves the same way, whichever version of VRM its file has. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Scene, Vector3 } from "three";
import { Avatar } from "../avatar.js";
import { Motion } from "../motion.js";
import { loadOwn } from "../vrm-files.js";
import { asVrm0 } from "./old-vrm.js";

const FILE = readFileSync(new URL("../avatars/mikan.vrm", import.meta.url));
/** Node has no pictures; what is looked at here are shapes. */
Object.assign(globalThis, { self: globalThis, createImageBitmap: async () => ({ width: 1, height: 1, close() {} }) });

/** @param {Buffer} data @param {any} pose */
async function posed(data, pose) {
  const vrm = await loadOwn(new File([new Uint8Array(data)], "own.vrm"));
  const avatar = new Avatar(/** @type {any} */ ({ scene: new Scene(), dress() {} }));
  await avatar.wear(Promise.resolve(vrm));
  avatar.take(pose);
  avatar.update(0, new Vector3(0, 1, 50)); // from afar: hair hangs still
  avatar.place.updateMatrixWorld(true);
  return { vrm, points: surface(vrm) };
}

/** Points of the skin in the world, some for each mesh. @param {import("@pixiv/three-vrm").VRM} vrm */
function surface(vrm) {
  /** @type {Vector3[]} */
  const points = [];
  vrm.scene.traverse((part) => {
    const mesh = /** @type {import("three").SkinnedMesh} */ (part);
    if (!mesh.isSkinnedMesh) return;
    const { count } = mesh.geometry.getAttribute("position");
    for (let i = 0; i < count; i += 37) points.push(mesh.getVertexPosition(i, new Vector3()).applyMatrix4(mesh.matrixWorld));
  });
  return points;
}

test("a VRM 0 file is worn as its VRM 1.0 twin is, whatever the pose", async () => {
  const motion = new Motion(() => 0.5);
  motion.act("wave");
  motion.feel("happy");
  for (let i = 0; i < 40; i++) motion.update(1 / 60, { x: 1, z: -2, yaw: 0.7, speed: 1.2 }, { yaw: 1.4, pitch: 0.2 });
  const [now, old] = [await posed(FILE, motion.pose), await posed(asVrm0(FILE), motion.pose)];
  assert.deepEqual([now.vrm.meta.metaVersion, old.vrm.meta.metaVersion], ["1", "0"]);
  assert.ok(now.points.length > 80);
  let most = 0;
  now.points.forEach((point, i) => (most = Math.max(most, point.distanceTo(old.points[i]))));
  assert.ok(most < 0.002, `a point of the skin is ${most} m off`);
});
