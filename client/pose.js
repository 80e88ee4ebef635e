/**
 * The bytes of a pose: V-Chat pose format 1, specified in docs/pose.md and shared with Python by golden vectors.
 *
 * @typedef {import("./pose-rotation.js").Numbers} Numbers
 *
 * @typedef {object} Pose An avatar at one moment; what is absent is not said: leave it as it is.
 * @property {{position: Numbers, rotation: Numbers} | null} root position in metres, right-handed, +Y up: x and z within ±131.07,
 *   y within ±16.382 (clamped); rotation x, y, z, w
 * @property {{[name: string]: Numbers}} bones name of `BONES` → local quaternion x, y, z, w of the VRM 1.0 normalized humanoid, as
 *   of `vrm.humanoid.getNormalizedBoneNode(name).quaternion`; for a VRM 0 model negate x and z
 * @property {{[name: string]: number}} expressions name of `EXPRESSIONS` → weight 0 to 1 (clamped)
 * @property {Numbers | null} gaze yaw and pitch in degrees: positive yaw looks to the avatar's left, positive pitch down; within ±95.25 (clamped)
 */

export { PoseDecoder } from "./pose-decoder.js";
export { PoseEncoder } from "./pose-encoder.js";
export { PoseError } from "./pose-error.js";
export { BONES, EXPRESSIONS } from "./pose-names.js";
