/**
 * A stream of small whole numbers in few bits: exponential Golomb codes that learn as they go.
 *
 * Bits fill each byte from its most significant end. Codes have no stored parameter: each of the three axes keeps a running size
 * of what was coded for it before in the same section, which tells how many low bits the next number is likely to need.
 */

import { PoseError } from "./pose-error.js";

const MAX_CODED = 1023; // of the unsigned number: rotations need 861
const FIRST_SIZE = 8;

/** How large the numbers of each axis have been: the parameter of the next code. */
class SizeModel {
  #sizes = new Int32Array(3);

  reset() {
    this.#sizes.fill(FIRST_SIZE);
  }

  /** @param {number} axis */
  lowBits(axis) {
    return Math.max(0, bitLength(this.#sizes[axis] ?? 0) - 2);
  }

  /** @param {number} axis @param {number} coded */
  learn(axis, coded) {
    this.#sizes[axis] = ((this.#sizes[axis] ?? 0) + coded) >> 1;
  }
}

/** Writes bits into bytes that are zero; `start` begins a section. */
export class BitWriter {
  #model = new SizeModel();
  #bytes;
  #at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
  }

  /** @param {number} byte where the section begins */
  start(byte) {
    this.#at = byte * 8;
    this.#model.reset();
  }

  /** @param {number} value @param {number} count at most 31 */
  bits(value, count) {
    for (let i = count - 1; i >= 0; i--) {
      const byte = this.#at >> 3;
      this.#bytes[byte] = (this.#bytes[byte] ?? 0) | (((value >> i) & 1) << (7 - (this.#at & 7)));
      this.#at++;
    }
  }

  /** A signed number: small ones are short. @param {number} n @param {number} axis */
  number(n, axis) {
    const coded = n > 0 ? 2 * n - 1 : -2 * n;
    const low = this.#model.lowBits(axis);
    const shifted = coded + (1 << low);
    this.bits(shifted, 2 * bitLength(shifted) - 1 - low);
    this.#model.learn(axis, coded);
  }

  /** @returns {number} the byte after the section */
  end() {
    return (this.#at + 7) >> 3;
  }
}

/** Reads what a BitWriter wrote; `start` begins a section. Running out of bytes is a PoseError. */
export class BitReader {
  #model = new SizeModel();
  /** @type {Uint8Array} */
  #bytes = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** @param {Uint8Array} bytes @param {number} start @param {number} end in bytes */
  start(bytes, start, end) {
    this.#bytes = bytes;
    this.#at = start * 8;
    this.#end = end * 8;
    this.#model.reset();
  }

  /** @returns {number} */
  bit() {
    const at = this.#at;
    if (at >= this.#end) throw new PoseError("The pose body ends within a bone.");
    this.#at = at + 1;
    return (/** @type {number} */ (this.#bytes[at >> 3]) >> (7 - (at & 7))) & 1;
  }

  /** @param {number} axis */
  number(axis) {
    const low = this.#model.lowBits(axis);
    let more = low;
    while (!this.bit()) {
      if (++more > 10) throw new PoseError("A rotation is coded larger than a rotation can be.");
    }
    let shifted = 1;
    for (; more > 0; more--) shifted = (shifted << 1) | this.bit();
    const coded = shifted - (1 << low);
    if (coded > MAX_CODED) throw new PoseError("A rotation is coded larger than a rotation can be.");
    this.#model.learn(axis, coded);
    return coded & 1 ? (coded + 1) >> 1 : -(coded >> 1);
  }

  /** The byte after the section; its unused bits must be zero. */
  byteEnd() {
    while (this.#at & 7) {
      if (this.bit()) throw new PoseError("The unused bits at the end of a section must be zero.");
    }
    return this.#at >> 3;
  }
}

/** @param {number} n */
function bitLength(n) {
  return 32 - Math.clz32(n);
}
