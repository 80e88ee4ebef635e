/** Understands pose bodies, whatever was lost between them. */

import { BitReader } from "./pose-bits.js";
import { PoseError } from "./pose-error.js";
import { EXPRESSIONS } from "./pose-names.js";
import * as wire from "./pose-parts.js";
import { applyTurn, unpack } from "./pose-rotation.js";

const WIDE_MASK = (1 << (EXPRESSIONS.length - wire.NARROW_EXPRESSIONS)) - 1;

/**
 * Decodes one avatar's bodies; remembers one keyframe and nothing else. A pose depends on its body and the keyframe that body
 * names, never on another delta, so bodies may be lost at will.
 */
export class PoseDecoder {
  #keyframe = new wire.Parts();
  #hasKeyframe = false;
  #keyframeSeq = 0;
  #said = new wire.Parts();
  #bits = new BitReader();
  #turn = new Int32Array(4);
  /** @type {Uint8Array} */
  #data = new Uint8Array(0);
  #at = 0;

  /** The last body decoded referred to a keyframe, or a part of one, that is not here. */
  needsKeyframe = false;

  /**
   * The pose of the body that came as number `seq`. What it does not hold is not known from this body: keep showing what you have.
   * That is so for whatever refers to a keyframe that is not here or was thinned; `needsKeyframe` then is true until a body is
   * understood whole.
   * @param {Uint8Array} data @param {number} seq u16
   * @returns {import("./pose.js").Pose} a new one
   * @throws {PoseError} for bytes that are no body of format 1; the decoder stays as it was
   */
  decode(data, seq) {
    if (data.length > wire.MAX_BODY_BYTES) throw new PoseError(`A pose body has at most ${wire.MAX_BODY_BYTES} bytes.`);
    this.#data = data;
    this.#at = 0;
    if (this.#take(1) !== wire.FORMAT) throw new PoseError("A pose body begins with format 1.");
    const flags = this.#take(1);
    return flags & wire.KEYFRAME ? this.#decodeKeyframe(flags, seq) : this.#decodeDelta(flags, seq);
  }

  /** @param {number} flags @param {number} seq */
  #decodeKeyframe(flags, seq) {
    const root = flags & wire.ROOT;
    if (root !== 0 && root !== wire.ROOT) throw new PoseError("A keyframe has the root's position and rotation, or neither.");
    const said = this.#said;
    said.clear();
    this.#root(flags, said);
    this.#face(flags, said);
    this.#bones(flags, said);
    this.#end();
    [this.#keyframe, this.#said] = [said, this.#keyframe];
    this.#hasKeyframe = true;
    this.#keyframeSeq = seq & 0xffff;
    this.needsKeyframe = false;
    return said.pose();
  }

  /** @param {number} flags @param {number} seq */
  #decodeDelta(flags, seq) {
    const age = (seq - this.#take(1)) & 0xff;
    if (age === 0) throw new PoseError("A delta cannot refer to itself.");
    const hasBase = this.#hasKeyframe && this.#keyframeSeq === ((seq - age) & 0xffff);
    const said = this.#said;
    if (hasBase) said.copy(this.#keyframe);
    else said.clear();
    this.#root(flags, said);
    this.#face(flags, said);
    const understood = this.#turns(flags, said);
    this.#end();
    this.needsKeyframe = !hasBase || !understood;
    return said.pose();
  }

  /** @param {number} flags @param {wire.Parts} said */
  #root(flags, said) {
    if (flags & wire.POSITION) {
      const low = this.#take(4);
      const high = this.#take(2);
      said.position[0] = ((low & 0x1ffff) - wire.HORIZONTAL_HALF) / wire.STEPS_PER_METRE;
      said.position[1] = ((high >>> 2) - wire.VERTICAL_HALF) / wire.STEPS_PER_METRE;
      said.position[2] = (((low >>> 17) | ((high & 3) << 15)) - wire.HORIZONTAL_HALF) / wire.STEPS_PER_METRE;
      said.hasPosition = true;
    }
    if (flags & wire.ROTATION) {
      unpack(this.#take(4), said.rotation, 0);
      said.hasRotation = true;
    }
  }

  /** @param {number} flags @param {wire.Parts} said */
  #face(flags, said) {
    if (!(flags & wire.FACE)) return;
    if (this.#takenOut(flags)) {
      said.hasGaze = false;
      said.hasWeight.fill(0);
      return;
    }
    const narrow = this.#take(1);
    const wide = narrow & wire.FACE_MORE ? this.#take(2) : 0;
    if (wide & ~WIDE_MASK) throw new PoseError("The face names expressions that do not exist.");
    if (narrow & wire.FACE_GAZE) {
      for (let axis = 0; axis < 2; axis++) said.gaze[axis] = ((this.#take(1) << 24) >> 24) * wire.GAZE_STEP;
      said.hasGaze = true;
    }
    const listed = ((narrow >> 1) & 0x3f) | (wide << wire.NARROW_EXPRESSIONS);
    for (let i = 0; i < EXPRESSIONS.length; i++) {
      if (!((listed >> i) & 1)) continue;
      said.weights[i] = this.#take(1) / wire.WEIGHT_STEPS;
      said.hasWeight[i] = 1;
    }
  }

  /** A keyframe's bone sections: absolute rotations. @param {number} flags @param {wire.Parts} said */
  #bones(flags, said) {
    for (const { flag, first, last, maskBytes } of wire.SECTIONS) {
      if (!(flags & flag)) continue;
      const mask = flags & wire.PARTIAL ? this.#mask(maskBytes, last - first) : null;
      for (let i = first; i < last; i++) {
        if (mask && !bitOf(mask, i - first)) continue;
        unpack(this.#take(4), said.bones, i * 4);
        said.hasBone[i] = 1;
      }
    }
  }

  /** @param {number} bytes @param {number} count of bones */
  #mask(bytes, count) {
    const start = this.#at;
    for (let i = 0; i < bytes; i++) this.#take(1);
    const mask = this.#data.subarray(start, this.#at);
    for (let i = count; i < bytes * 8; i++) {
      if (bitOf(mask, i)) throw new PoseError("A mask names bones that do not exist.");
    }
    return mask;
  }

  /**
   * A delta's bone sections: turns of the bones in `said`.
   * @param {number} flags @param {wire.Parts} said
   * @returns {boolean} false if a bone was not there
   */
  #turns(flags, said) {
    let understood = true;
    for (const { flag, first, last } of wire.SECTIONS) {
      if (!(flags & flag)) continue;
      if (this.#takenOut(flags)) {
        said.hasBone.fill(0, first, last);
        continue;
      }
      const declared = flag === wire.UPPER ? this.#take(1) + this.#at : this.#data.length;
      const bits = this.#bits;
      bits.start(this.#data, this.#at, Math.min(declared, this.#data.length));
      for (let i = first; i < last; i++) {
        if (!bits.bit()) continue;
        this.#turn[0] = bits.bit();
        for (let axis = 0; axis < 3; axis++) this.#turn[axis + 1] = bits.number(axis);
        if (said.hasBone[i]) applyTurn(said.bones, i * 4, this.#turn);
        else understood = false;
      }
      this.#at = bits.byteEnd();
      if (flag === wire.UPPER && this.#at !== declared) throw new PoseError("The upper body is not as long as it says.");
    }
    return understood;
  }

  /** Whether the flagged section that comes next was thinned away: then nothing follows. @param {number} flags */
  #takenOut(flags) {
    return Boolean(flags & wire.THINNED) && !(flags & wire.KEYFRAME) && this.#at === this.#data.length;
  }

  /** The next bytes as a little-endian number. @param {number} count at most 4 */
  #take(count) {
    if (this.#at + count > this.#data.length) throw new PoseError("The pose body ends too early.");
    let value = 0;
    for (let i = 0; i < count; i++) value |= /** @type {number} */ (this.#data[this.#at++]) << (8 * i);
    return value >>> 0;
  }

  #end() {
    if (this.#at !== this.#data.length) throw new PoseError("The pose body goes on after its last section.");
  }
}

/** @param {Uint8Array} bytes @param {number} i */
function bitOf(bytes, i) {
  return (/** @type {number} */ (bytes[i >> 3]) >> (i & 7)) & 1;
}
