/** Says a moving pose in few bytes: a keyframe now and then, and what differs from it between. */

import { BitWriter } from "./pose-bits.js";
import { PoseError } from "./pose-error.js";
import * as wire from "./pose-parts.js";
import { applyTurn, pack, same, turnBetween, unpack } from "./pose-rotation.js";

/** A delta names its keyframe by one byte: it must be younger than one turn of that byte. */
const OLDEST_KEYFRAME = 255;

/** How far a value may be from what was said before it is said again; for rotations see `same`. */
const POSITION_TOLERANCE = 0.002; // metres per axis
const WEIGHT_TOLERANCE = 0.01;
const GAZE_TOLERANCE = 0.5; // degrees per axis

/**
 * Encodes one avatar's poses, in the order of their `seq`.
 *
 * What a receiver shows is, at any time, within 0.298° of each rotation given, 2 mm of the position per axis, 0.01 of each
 * weight and 0.5° of the gaze. A keyframe is made at first, whenever `keyframeEvery` numbers have passed since the last, when the
 * pose gains or loses a part, and when a delta would be no shorter.
 */
export class PoseEncoder {
  #keyframeEvery;
  #now = new wire.Parts();
  #keyframe = new wire.Parts(); // as receivers see it
  #hasKeyframe = false;
  #keyframeSeq = 0;
  #keyframeBytes = 0;
  #said = new wire.Parts(); // as receivers see it
  #next = new wire.Parts();
  #bytes = new Uint8Array(wire.MAX_BODY_BYTES);
  #bits = new BitWriter(this.#bytes);
  #turn = new Int32Array(4);
  #at = 0;

  /** @param {{keyframeEvery?: number}} [options] 1 to 255 */
  constructor({ keyframeEvery = 40 } = {}) {
    if (!(Number.isInteger(keyframeEvery) && keyframeEvery >= 1 && keyframeEvery <= OLDEST_KEYFRAME)) {
      throw new RangeError(`keyframeEvery is 1 to ${OLDEST_KEYFRAME}.`);
    }
    this.#keyframeEvery = keyframeEvery;
  }

  /**
   * The body to send as number `seq`, or null if receivers see this pose already: then use the same `seq` for the next pose.
   * @param {import("./pose.js").Pose} pose
   * @param {number} seq u16
   * @param {{keyframe?: boolean}} [options]
   * @returns {Uint8Array | null} a new array
   * @throws {PoseError} for unknown names, numbers that are not finite, zero quaternions; nothing is changed then
   */
  encode(pose, seq, { keyframe = false } = {}) {
    if (!(Number.isInteger(seq) && seq >= 0 && seq <= 0xffff)) throw new PoseError("seq is 0 to 65535.");
    this.#now.read(pose);
    if (keyframe || !this.#hasKeyframe || !sameParts(this.#now, this.#keyframe)) return this.#encodeKeyframe(seq);
    if (unchanged(this.#now, this.#said)) return null;
    const age = (seq - this.#keyframeSeq) & 0xffff;
    if (age === 0 || age >= this.#keyframeEvery) return this.#encodeKeyframe(seq);
    const delta = this.#encodeDelta();
    if (delta.length >= this.#keyframeBytes) return this.#encodeKeyframe(seq);
    [this.#said, this.#next] = [this.#next, this.#said];
    return delta;
  }

  /** @param {number} seq */
  #encodeKeyframe(seq) {
    const { hasBone, bones } = this.#now;
    const said = this.#keyframe;
    said.clear();
    this.#begin(2);
    let flags = wire.KEYFRAME;
    for (const { flag, first, last } of wire.SECTIONS) {
      const present = hasBone.subarray(first, last);
      if (!present.includes(1)) continue;
      flags |= flag;
      if (present.includes(0)) flags |= wire.PARTIAL;
    }
    flags |= this.#root(said, this.#now.hasPosition, this.#now.hasRotation);
    flags |= this.#face(said, this.#now.hasWeight, this.#now.hasGaze);
    for (const { flag, first, last, maskBytes } of wire.SECTIONS) {
      if (!(flags & flag)) continue;
      if (flags & wire.PARTIAL) {
        for (let i = first; i < last; i++) {
          const byte = this.#at + ((i - first) >> 3);
          this.#bytes[byte] = (this.#bytes[byte] ?? 0) | ((hasBone[i] ?? 0) << ((i - first) & 7));
        }
        this.#at += maskBytes;
      }
      for (let i = first; i < last; i++) {
        if (!hasBone[i]) continue;
        const packed = pack(bones, i * 4);
        this.#put(packed, 4);
        unpack(packed, said.bones, i * 4);
        said.hasBone[i] = 1;
      }
    }
    this.#bytes[1] = flags;
    this.#hasKeyframe = true;
    this.#keyframeSeq = seq;
    this.#keyframeBytes = this.#at;
    this.#said.copy(said);
    return this.#bytes.slice(0, this.#at);
  }

  /** Leaves what receivers will see in `#next`. */
  #encodeDelta() {
    const now = this.#now;
    const base = this.#keyframe;
    const said = this.#next;
    said.copy(base);
    this.#begin(3);
    this.#bytes[2] = this.#keyframeSeq & 0xff;
    let flags = this.#root(
      said,
      now.hasPosition && !near(now.position, base.position, POSITION_TOLERANCE),
      now.hasRotation && !same(now.rotation, base.rotation, 0),
    );
    const changed = now.hasWeight.map((has, i) => (has && !nearWeight(now, base, i) ? 1 : 0));
    flags |= this.#face(said, changed, now.hasGaze && !near(now.gaze, base.gaze, GAZE_TOLERANCE));
    for (const section of wire.SECTIONS) {
      if (this.#turns(section, said)) flags |= section.flag;
    }
    this.#bytes[1] = flags;
    return this.#bytes.slice(0, this.#at);
  }

  /**
   * A delta's bone section: nothing if no bone of it moved.
   * @param {{flag: number, first: number, last: number}} section
   * @param {wire.Parts} said
   */
  #turns({ flag, first, last }, said) {
    const { hasBone, bones } = this.#now;
    const base = this.#keyframe.bones;
    let moved = false;
    for (let i = first; i < last && !moved; i++) moved = Boolean(hasBone[i]) && !same(bones, base, i * 4);
    if (!moved) return false;
    const start = flag === wire.UPPER ? this.#at + 1 : this.#at;
    this.#bits.start(start);
    for (let i = first; i < last; i++) {
      if (!hasBone[i] || same(bones, base, i * 4)) {
        this.#bits.bits(0, 1);
        continue;
      }
      const turn = this.#turn;
      turnBetween(base, bones, i * 4, turn);
      this.#bits.bits(2 | (turn[0] ?? 0), 2);
      for (let axis = 0; axis < 3; axis++) this.#bits.number(turn[axis + 1] ?? 0, axis);
      applyTurn(said.bones, i * 4, turn);
    }
    const end = this.#bits.end();
    if (flag === wire.UPPER) this.#bytes[this.#at] = end - start;
    this.#at = end;
    return true;
  }

  /** @param {wire.Parts} said @param {boolean} position @param {boolean} rotation */
  #root(said, position, rotation) {
    if (position) {
      const [x = 0, y = 0, z = 0] = this.#now.position;
      const nx = Math.floor(x * wire.STEPS_PER_METRE + 0.5) + wire.HORIZONTAL_HALF;
      const ny = Math.floor(y * wire.STEPS_PER_METRE + 0.5) + wire.VERTICAL_HALF;
      const nz = Math.floor(z * wire.STEPS_PER_METRE + 0.5) + wire.HORIZONTAL_HALF;
      this.#put((nx | (nz << 17)) >>> 0, 4);
      this.#put((nz >> 15) | (ny << 2), 2);
      said.position[0] = (nx - wire.HORIZONTAL_HALF) / wire.STEPS_PER_METRE;
      said.position[1] = (ny - wire.VERTICAL_HALF) / wire.STEPS_PER_METRE;
      said.position[2] = (nz - wire.HORIZONTAL_HALF) / wire.STEPS_PER_METRE;
      said.hasPosition = true;
    }
    if (rotation) {
      const packed = pack(this.#now.rotation, 0);
      this.#put(packed, 4);
      unpack(packed, said.rotation, 0);
      said.hasRotation = true;
    }
    return (position ? wire.POSITION : 0) | (rotation ? wire.ROTATION : 0);
  }

  /** @param {wire.Parts} said @param {Uint8Array} listed which weights @param {boolean} gaze */
  #face(said, listed, gaze) {
    let mask = 0;
    listed.forEach((is, i) => (mask |= is << i));
    if (!mask && !gaze) return 0;
    const narrow = mask & ((1 << wire.NARROW_EXPRESSIONS) - 1);
    const wide = mask >> wire.NARROW_EXPRESSIONS;
    this.#put((gaze ? wire.FACE_GAZE : 0) | (narrow << 1) | (wide ? wire.FACE_MORE : 0), 1);
    if (wide) this.#put(wide, 2);
    if (gaze) {
      for (let axis = 0; axis < 2; axis++) {
        const n = Math.floor((this.#now.gaze[axis] ?? 0) / wire.GAZE_STEP + 0.5);
        this.#put(n & 0xff, 1);
        said.gaze[axis] = n * wire.GAZE_STEP;
      }
      said.hasGaze = true;
    }
    for (let i = 0; i < listed.length; i++) {
      if (!listed[i]) continue;
      const n = Math.floor((this.#now.weights[i] ?? 0) * wire.WEIGHT_STEPS + 0.5);
      this.#put(n, 1);
      said.weights[i] = n / wire.WEIGHT_STEPS;
      said.hasWeight[i] = 1;
    }
    return wire.FACE;
  }

  /** @param {number} header its length */
  #begin(header) {
    this.#bytes.fill(0);
    this.#bytes[0] = wire.FORMAT;
    this.#at = header;
  }

  /** Little-endian. @param {number} value @param {number} count of bytes */
  #put(value, count) {
    for (let i = 0; i < count; i++) this.#bytes[this.#at++] = (value >>> (8 * i)) & 0xff;
  }
}

/** Whether both say the same things, whatever they say. @param {wire.Parts} a @param {wire.Parts} b */
function sameParts(a, b) {
  return (
    a.hasPosition === b.hasPosition &&
    a.hasGaze === b.hasGaze &&
    a.hasBone.every((has, i) => has === b.hasBone[i]) &&
    a.hasWeight.every((has, i) => has === b.hasWeight[i])
  );
}

/** Both say the same things. @param {wire.Parts} now @param {wire.Parts} said */
function unchanged(now, said) {
  return (
    (!now.hasPosition || (near(now.position, said.position, POSITION_TOLERANCE) && same(now.rotation, said.rotation, 0))) &&
    (!now.hasGaze || near(now.gaze, said.gaze, GAZE_TOLERANCE)) &&
    now.hasBone.every((has, i) => !has || same(now.bones, said.bones, i * 4)) &&
    now.hasWeight.every((has, i) => !has || nearWeight(now, said, i))
  );
}

/** @param {Float64Array} a @param {Float64Array} b @param {number} tolerance */
function near(a, b, tolerance) {
  return a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) <= tolerance);
}

/** @param {wire.Parts} a @param {wire.Parts} b @param {number} i */
function nearWeight(a, b, i) {
  return Math.abs((a.weights[i] ?? NaN) - (b.weights[i] ?? NaN)) <= WEIGHT_TOLERANCE;
}
