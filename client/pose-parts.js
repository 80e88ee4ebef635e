/** A pose taken apart as the wire sees it: clamped, normalized, in flat arrays by number. Both ends of the codec work on it. */

import { PoseError } from "./pose-error.js";
import { BONES, EXPRESSIONS } from "./pose-names.js";
import { normalize } from "./pose-rotation.js";

/** @typedef {import("./pose-rotation.js").Numbers} Numbers */

export const FORMAT = 1;
export const MAX_BODY_BYTES = 512;

export const KEYFRAME = 0x01;
export const POSITION = 0x02;
export const ROTATION = 0x04;
export const ROOT = POSITION | ROTATION;
export const FACE = 0x08;
export const UPPER = 0x10;
export const LOWER = 0x20;
export const FINE = 0x40;
/** Keyframe: the bone sections begin with masks. */
export const PARTIAL = 0x80;
/** Delta: flagged sections the body ends before were taken out. */
export const THINNED = 0x80;

/** The bone sections in wire order. */
export const SECTIONS = Object.freeze([
  { flag: UPPER, first: 0, last: 14, maskBytes: 2 },
  { flag: LOWER, first: 14, last: 22, maskBytes: 1 },
  { flag: FINE, first: 22, last: 55, maskBytes: 5 },
]);

export const FACE_GAZE = 0x01;
export const FACE_MORE = 0x80;
/** Expressions whose mask bits fit in the first byte. */
export const NARROW_EXPRESSIONS = 6;

export const STEPS_PER_METRE = 500;
export const HORIZONTAL_HALF = 1 << 16;
export const VERTICAL_HALF = 1 << 13;
export const WEIGHT_STEPS = 255;
export const GAZE_STEP = 0.75; // degrees
const GAZE_MOST = 127 * GAZE_STEP;
const HORIZONTAL_MOST = (HORIZONTAL_HALF - 1) / STEPS_PER_METRE;
const VERTICAL_MOST = (VERTICAL_HALF - 1) / STEPS_PER_METRE;

/** @type {ReadonlyMap<string, number>} */
const BONE_NUMBERS = new Map(BONES.map((name, i) => [name, i]));
/** @type {ReadonlyMap<string, number>} */
const EXPRESSION_NUMBERS = new Map(EXPRESSIONS.map((name, i) => [name, i]));

export class Parts {
  hasPosition = false;
  position = new Float64Array(3);
  hasRotation = false;
  rotation = new Float64Array(4);
  hasBone = new Uint8Array(BONES.length);
  bones = new Float64Array(BONES.length * 4);
  hasWeight = new Uint8Array(EXPRESSIONS.length);
  weights = new Float64Array(EXPRESSIONS.length);
  hasGaze = false;
  gaze = new Float64Array(2);

  /** Say nothing. */
  clear() {
    this.hasPosition = this.hasRotation = this.hasGaze = false;
    this.hasBone.fill(0);
    this.hasWeight.fill(0);
  }

  /** @param {Parts} other */
  copy(other) {
    this.hasPosition = other.hasPosition;
    this.hasRotation = other.hasRotation;
    this.hasGaze = other.hasGaze;
    this.position.set(other.position);
    this.rotation.set(other.rotation);
    this.gaze.set(other.gaze);
    this.hasBone.set(other.hasBone);
    this.bones.set(other.bones);
    this.hasWeight.set(other.hasWeight);
    this.weights.set(other.weights);
  }

  /**
   * @param {import("./pose.js").Pose} pose
   * @throws {PoseError} for unknown names and for what is no number or no rotation
   */
  read(pose) {
    this.clear();
    if (pose.root) {
      const { position, rotation } = pose.root;
      this.position[0] = clamped(position[0], -HORIZONTAL_MOST, HORIZONTAL_MOST);
      this.position[1] = clamped(position[1], -VERTICAL_MOST, VERTICAL_MOST);
      this.position[2] = clamped(position[2], -HORIZONTAL_MOST, HORIZONTAL_MOST);
      readRotation(rotation, this.rotation, 0);
      this.hasPosition = this.hasRotation = true;
    }
    for (const name in pose.bones) {
      const number = BONE_NUMBERS.get(name);
      if (number === undefined) throw new PoseError(`VRM 1.0 has no bone "${name.slice(0, 40)}".`);
      readRotation(pose.bones[name] ?? [], this.bones, number * 4);
      this.hasBone[number] = 1;
    }
    for (const name in pose.expressions) {
      const number = EXPRESSION_NUMBERS.get(name);
      if (number === undefined) throw new PoseError(`VRM 1.0 has no expression "${name.slice(0, 40)}".`);
      this.weights[number] = clamped(pose.expressions[name], 0, 1);
      this.hasWeight[number] = 1;
    }
    if (pose.gaze) {
      this.gaze[0] = clamped(pose.gaze[0], -GAZE_MOST, GAZE_MOST);
      this.gaze[1] = clamped(pose.gaze[1], -GAZE_MOST, GAZE_MOST);
      this.hasGaze = true;
    }
  }

  /** @returns {import("./pose.js").Pose} a new one */
  pose() {
    /** @type {{[name: string]: number[]}} */
    const bones = {};
    for (let i = 0; i < BONES.length; i++) {
      if (this.hasBone[i]) bones[/** @type {string} */ (BONES[i])] = quaternionAt(this.bones, i * 4);
    }
    /** @type {{[name: string]: number}} */
    const expressions = {};
    for (let i = 0; i < EXPRESSIONS.length; i++) {
      if (this.hasWeight[i]) expressions[/** @type {string} */ (EXPRESSIONS[i])] = this.weights[i] ?? 0;
    }
    const [x = 0, y = 0, z = 0] = this.position;
    const [yaw = 0, pitch = 0] = this.gaze;
    const hasRoot = this.hasPosition && this.hasRotation;
    return {
      root: hasRoot ? { position: [x, y, z], rotation: quaternionAt(this.rotation, 0) } : null,
      bones,
      expressions,
      gaze: this.hasGaze ? [yaw, pitch] : null,
    };
  }
}

// Not Array.from(subarray): that was nine tenths of the cost of decoding a pose.
/** @param {Float64Array} from @param {number} at @returns {number[]} */
function quaternionAt(from, at) {
  return [from[at] ?? 0, from[at + 1] ?? 0, from[at + 2] ?? 0, from[at + 3] ?? 0];
}

/** @param {Numbers} q @param {Float64Array} out @param {number} at */
function readRotation(q, out, at) {
  normalize(out, at, Number(q[0]), Number(q[1]), Number(q[2]), Number(q[3]));
}

/** @param {number | undefined} value @param {number} least @param {number} most */
function clamped(value, least, most) {
  if (typeof value !== "number" || !Number.isFinite(value)) throw new PoseError("A pose is made of finite numbers.");
  return Math.min(Math.max(value, least), most);
}
