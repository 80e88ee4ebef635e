/**
 * Poses as numbers to overlay and mix; arrays that are there are written in place.
 *
 * What a pose lacks was not said: it stays as it is.
 *
 * @typedef {import("./pose.js").Pose} Pose
 * @typedef {{[index: number]: number, length: number}} Numbers
 */

/** @returns {Pose} */
export function emptyPose() {
  return /** @type {Pose} */ ({ root: null, bones: {}, expressions: {}, gaze: null });
}

/** @param {Pose} from @param {Pose} out keeps what `from` lacks */
export function overlayPose(from, out) {
  blendPoses(from, from, 1, out);
}

/**
 * `a` × (1 − t) + `b` × t, for all that `b` has; where `a` lacks it, `b`.
 * @param {Pose} a
 * @param {Pose} b
 * @param {number} t in [0, 1]
 * @param {Pose} out neither `a` nor `b`; keeps what `b` lacks
 */
export function blendPoses(a, b, t, out) {
  if (b.root) {
    out.root ??= { position: [0, 0, 0], rotation: [0, 0, 0, 1] };
    const from = a.root ?? b.root;
    lerp(from.position, b.root.position, t, out.root.position);
    slerp(from.rotation, b.root.rotation, t, out.root.rotation);
  }
  for (const bone in b.bones) {
    const to = /** @type {Numbers} */ (b.bones[bone]);
    slerp(a.bones[bone] ?? to, to, t, (out.bones[bone] ??= [0, 0, 0, 1]));
  }
  for (const name in b.expressions) {
    const to = /** @type {number} */ (b.expressions[name]);
    const from = a.expressions[name] ?? to;
    out.expressions[name] = from + (to - from) * t;
  }
  if (b.gaze) lerp(a.gaze ?? b.gaze, b.gaze, t, (out.gaze ??= [0, 0]));
}

/**
 * @template {Numbers} T
 * @param {Numbers} a @param {Numbers} b @param {number} t @param {T} out
 * @returns {T} out
 */
export function lerp(a, b, t, out) {
  for (let i = 0; i < b.length; i++) out[i] = num(a, i) + (num(b, i) - num(a, i)) * t;
  return out;
}

/**
 * Along the shorter arc, at even speed; the result has length 1.
 * Source: K. Shoemake, "Animating rotation with quaternion curves", SIGGRAPH 1985.
 * @template {Numbers} T
 * @param {Numbers} a @param {Numbers} b quaternions x, y, z, w of length 1
 * @param {number} t @param {T} out
 * @returns {T} out
 */
export function slerp(a, b, t, out) {
  let dot = 0;
  for (let i = 0; i < 4; i++) dot += num(a, i) * num(b, i);
  const sign = dot < 0 ? -1 : 1; // q and −q are the same rotation: take the nearer one.
  const angle = Math.acos(Math.min(1, Math.abs(dot)));
  const sine = Math.sin(angle);
  // Below this the arc is a straight line to the last bit, and the sine would divide by almost nothing.
  const [wa, wb] = sine < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  let square = 0;
  for (let i = 0; i < 4; i++) {
    const value = num(a, i) * wa + num(b, i) * wb * sign;
    out[i] = value;
    square += value * value;
  }
  const length = Math.sqrt(square) || 1;
  for (let i = 0; i < 4; i++) out[i] = num(out, i) / length;
  return out;
}

/** @param {Numbers} a @param {Numbers} b positions x, y, z @returns {number} */
export function distance(a, b) {
  return Math.hypot(num(b, 0) - num(a, 0), num(b, 1) - num(a, 1), num(b, 2) - num(a, 2));
}

/** @param {Numbers} numbers @param {number} i */
function num(numbers, i) {
  return /** @type {number} */ (numbers[i]);
}
