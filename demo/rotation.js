/** Turns as three angles, and as the quaternions a pose carries. */

/** @typedef {[x: number, y: number, z: number]} Angles radians; turned about z first, then y, then x */

/**
 * @param {Angles} angles
 * @param {number[]} out written: x, y, z, w
 * @returns {number[]} out
 */
export function toQuaternion([x, y, z], out) {
  const [sx, cx, sy, cy, sz, cz] = [x, y, z].flatMap((angle) => [Math.sin(angle / 2), Math.cos(angle / 2)]);
  out[0] = sx * cy * cz + cx * sy * sz;
  out[1] = cx * sy * cz - sx * cy * sz;
  out[2] = cx * cy * sz + sx * sy * cz;
  out[3] = cx * cy * cz - sx * sy * sz;
  return out;
}

/** The same direction within half a turn either way. @param {number} angle @returns {number} in [−π, π) */
export function wrapped(angle) {
  return angle - 2 * Math.PI * Math.floor((angle + Math.PI) / (2 * Math.PI));
}

/** From `from` towards `to`, the same way whatever the frame rate. @param {number} from @param {number} to @param {number} rate per second @param {number} dt seconds */
export function approach(from, to, rate, dt) {
  return from + (to - from) * (1 - Math.exp(-rate * dt));
}
