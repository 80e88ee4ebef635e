/**
 * Rotations in few bits: absolute ones in 32 bits, small turns on a grid. Formulas: docs/pose.md.
 *
 * Only +, -, *, / and square root are used, which IEEE 754 rounds alike everywhere, so that encoders in any language agree
 * to the last bit. Quaternions are x, y, z, w in flat arrays, four numbers per bone.
 */

import { PoseError } from "./pose-error.js";

/** @typedef {{[index: number]: number, length: number}} Numbers */

const SMALLEST_THREE_SCALE = 511;
const SQRT_HALF = 0.7071067811865476;
/** Grid points per unit of tan(angle / 4); no rotation is further than sqrt(5) / 430 rad = 0.29795° from a point. */
const TURN_GRID = 430;
/** cos(0.298° / 2): two rotations whose |dot| is at least this count as one. */
const SAME_DOT = 0.9999966185962373;

/**
 * The unit quaternion along the four numbers.
 * @param {Float64Array} out @param {number} at
 * @param {number} x @param {number} y @param {number} z @param {number} w
 * @throws {PoseError} if there is none
 */
export function normalize(out, at, x, y, z, w) {
  const length = Math.sqrt(x * x + y * y + z * z + w * w);
  if (!(length > 1e-6 && length < 1e6)) throw new PoseError("A rotation must be a finite quaternion that is not zero.");
  out[at] = x / length;
  out[at + 1] = y / length;
  out[at + 2] = z / length;
  out[at + 3] = w / length;
}

/**
 * Whether two unit quaternions, both at the same place, are the same rotation to within 0.298°.
 * @param {Numbers} a @param {Numbers} b @param {number} at
 */
export function same(a, b, at) {
  const dot = num(a, at) * num(b, at) + num(a, at + 1) * num(b, at + 1) + num(a, at + 2) * num(b, at + 2) + num(a, at + 3) * num(b, at + 3);
  return Math.abs(dot) >= SAME_DOT;
}

/**
 * A unit quaternion as u32: smallest three, 10 bits each. Error at most 0.275°.
 * @param {Numbers} q @param {number} at
 */
export function pack(q, at) {
  let largest = 0;
  for (let i = 1; i < 4; i++) if (Math.abs(num(q, at + i)) > Math.abs(num(q, at + largest))) largest = i;
  const sign = num(q, at + largest) < 0 ? -1 : 1;
  let packed = largest << 30;
  let shift = 0;
  for (let i = 0; i < 4; i++) {
    if (i === largest) continue;
    const n = Math.floor(((sign * num(q, at + i)) / SQRT_HALF) * SMALLEST_THREE_SCALE + 0.5);
    packed |= (Math.min(Math.max(n, -511), 511) + 511) << shift;
    shift += 10;
  }
  return packed >>> 0;
}

/**
 * The unit quaternion of any u32.
 * @param {number} packed @param {Float64Array} out @param {number} at
 */
export function unpack(packed, out, at) {
  const a = (((packed & 1023) - 511) / SMALLEST_THREE_SCALE) * SQRT_HALF;
  const b = ((((packed >>> 10) & 1023) - 511) / SMALLEST_THREE_SCALE) * SQRT_HALF;
  const c = ((((packed >>> 20) & 1023) - 511) / SMALLEST_THREE_SCALE) * SQRT_HALF;
  const d = Math.sqrt(Math.max(0, 1 - (a * a + b * b + c * c)));
  const largest = packed >>> 30;
  if (largest === 0) normalize(out, at, d, a, b, c);
  else if (largest === 1) normalize(out, at, a, d, b, c);
  else if (largest === 2) normalize(out, at, a, b, d, c);
  else normalize(out, at, a, b, c, d);
}

/**
 * The grid point nearest to the turn that takes `base` to `q`, both unit and at the same place.
 * @param {Numbers} base @param {Numbers} q @param {number} at
 * @param {Int32Array} turn written: `half` (0 or 1), then n on x, y, z; the point lies at n + half / 2
 */
export function turnBetween(base, q, at, turn) {
  const bx = num(base, at), by = num(base, at + 1), bz = num(base, at + 2), bw = num(base, at + 3);
  const x = num(q, at), y = num(q, at + 1), z = num(q, at + 2), w = num(q, at + 3);
  let tw = bw * w + bx * x + by * y + bz * z;
  let tx = bw * x - bx * w - by * z + bz * y;
  let ty = bw * y + bx * z - by * w - bz * x;
  let tz = bw * z - bx * y + by * x - bz * w;
  if (tw < 0) [tx, ty, tz, tw] = [-tx, -ty, -tz, -tw];
  const px = (tx / (1 + tw)) * TURN_GRID;
  const py = (ty / (1 + tw)) * TURN_GRID;
  const pz = (tz / (1 + tw)) * TURN_GRID;
  const ex = Math.floor(px + 0.5), ey = Math.floor(py + 0.5), ez = Math.floor(pz + 0.5);
  const ox = Math.floor(px), oy = Math.floor(py), oz = Math.floor(pz);
  const even = (px - ex) * (px - ex) + (py - ey) * (py - ey) + (pz - ez) * (pz - ez);
  const rx = px - ox - 0.5, ry = py - oy - 0.5, rz = pz - oz - 0.5;
  const odd = rx * rx + ry * ry + rz * rz;
  turn[0] = even <= odd ? 0 : 1;
  turn[1] = even <= odd ? ex : ox;
  turn[2] = even <= odd ? ey : oy;
  turn[3] = even <= odd ? ez : oz;
}

/**
 * Turn the unit quaternion at `at` by a grid point, in place.
 * @param {Float64Array} q @param {number} at @param {Numbers} turn as of `turnBetween`
 */
export function applyTurn(q, at, turn) {
  const half = num(turn, 0) * 0.5;
  const px = (num(turn, 1) + half) / TURN_GRID;
  const py = (num(turn, 2) + half) / TURN_GRID;
  const pz = (num(turn, 3) + half) / TURN_GRID;
  const s = px * px + py * py + pz * pz;
  const tx = (2 * px) / (1 + s), ty = (2 * py) / (1 + s), tz = (2 * pz) / (1 + s);
  const tw = (1 - s) / (1 + s);
  const bx = num(q, at), by = num(q, at + 1), bz = num(q, at + 2), bw = num(q, at + 3);
  normalize(
    q,
    at,
    bw * tx + bx * tw + by * tz - bz * ty,
    bw * ty - bx * tz + by * tw + bz * tx,
    bw * tz + bx * ty - by * tx + bz * tw,
    bw * tw - bx * tx - by * ty - bz * tz,
  );
}

/** @param {Numbers} numbers @param {number} i @returns {number} */
function num(numbers, i) {
  return /** @type {number} */ (numbers[i]);
}
