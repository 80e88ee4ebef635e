/** One avatar's poses in the relay's time: smooth between them, a short guess beyond them, then still. */

import { blendPoses, distance, emptyPose, lerp, overlayPose } from "./pose-blend.js";

/** @typedef {import("./pose.js").Pose} Pose */

const CAPACITY = 32;
/** Poses come only when something changed. After a longer pause than this the avatar had been still, */
const PAUSE_MS = 250;
/** and the move to the new pose took only the last moment of it. */
const MOVE_MS = 100;
/** Further than this between two poses is no walk. */
const TELEPORT_M = 2;
const GUESS_MS = 100;
const GUESS_BACK_MS = 200;

export class PoseBuffer {
  /** @type {{time: number, pose: Pose}[]} oldest first */
  #samples = [];
  /** @type {{time: number, pose: Pose}[]} to be used again instead of allocating */
  #spare = [];

  /**
   * @param {number} serverMs
   * @param {Pose} pose copied over the newest: what it lacks stays. One of the same time joins it, an older one is dropped
   */
  push(serverMs, pose) {
    const newest = this.#samples.at(-1);
    if (newest && serverMs < newest.time) return;
    if (newest && serverMs === newest.time) return overlayPose(pose, newest.pose);
    if (this.#samples.length >= CAPACITY) this.#retire();
    const sample = this.#spare.pop() ?? { time: 0, pose: emptyPose() };
    sample.time = serverMs;
    if (newest) overlayPose(newest.pose, sample.pose);
    overlayPose(pose, sample.pose);
    this.#samples.push(sample);
  }

  /** Time may jump now (another relay): keep showing the newest pose until the next one comes. */
  restart() {
    while (this.#samples.length > 1) this.#retire();
    if (this.#samples[0]) this.#samples[0].time = -Infinity;
  }

  /**
   * @param {number} serverMs the moment to show
   * @param {Pose} out written, its arrays reused
   * @returns {boolean} false if there is no pose yet; `out` is untouched then
   */
  sample(serverMs, out) {
    // Of what has passed, the newest two stay: between them lies the speed a guess goes on with.
    while (this.#samples.length > 2 && /** @type {{time: number}} */ (this.#samples[2]).time <= serverMs) this.#retire();
    const after = this.#samples.findIndex((sample) => sample.time > serverMs);
    const last = this.#samples.length - 1;
    const to = this.#samples[after === -1 ? last : after];
    if (!to) return false;
    const from = this.#samples[after === -1 ? last - 1 : after - 1];
    if (after === -1) {
      overlayPose(to.pose, out);
      if (from) guess(from, to, serverMs, out);
    } else if (from) {
      blendPoses(from.pose, to.pose, share(from, to, serverMs), out);
    } else {
      overlayPose(to.pose, out);
    }
    return true;
  }

  #retire() {
    const oldest = this.#samples.shift();
    if (oldest) this.#spare.push(oldest);
  }
}

/**
 * @param {{time: number, pose: Pose}} from
 * @param {{time: number, pose: Pose}} to
 * @param {number} at
 * @returns {number} how far from `from` to `to`, in [0, 1)
 */
function share(from, to, at) {
  if (isTeleport(from.pose, to.pose)) return 0;
  const start = to.time - from.time > PAUSE_MS ? to.time - MOVE_MS : from.time;
  return Math.max(0, (at - start) / (to.time - start));
}

/**
 * Carry the root on at its last speed for a moment, then let it come back: if nothing follows, the newest pose is the truth.
 * @param {{time: number, pose: Pose}} from
 * @param {{time: number, pose: Pose}} to
 * @param {number} at
 * @param {Pose} out holds `to`'s pose
 */
function guess(from, to, at, out) {
  const ahead = at - to.time;
  const passed = to.time - from.time;
  if (!out.root || !from.pose.root || !to.pose.root || passed > PAUSE_MS || isTeleport(from.pose, to.pose)) return;
  const onward = ahead <= GUESS_MS ? ahead : Math.max(0, (GUESS_MS * (GUESS_MS + GUESS_BACK_MS - ahead)) / GUESS_BACK_MS);
  lerp(from.pose.root.position, to.pose.root.position, 1 + onward / passed, out.root.position);
}

/** @param {Pose} a @param {Pose} b */
function isTeleport(a, b) {
  return a.root !== null && b.root !== null && distance(a.root.position, b.root.position) > TELEPORT_M;
}
