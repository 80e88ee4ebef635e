/** Small acts: each says, at a moment of it, which bones are turned how, how high the avatar is, and what its face does. */

/**
 * @typedef {import("./rotation.js").Angles} Angles
 * @typedef {{bones: Record<string, Angles>, lift?: number, turn?: number, face?: Record<string, number>}} Act
 *   `lift` in metres, `turn` in radians
 * @typedef {{seconds: number, whole: boolean, at: (t: number) => Act}} Emote
 *   `whole`: the legs take part, so walking ends it; `t` in seconds
 */

const { sin, cos, abs, max, min, PI } = Math;

/** 0 at the ends of 0..1, 1 in the middle part. @param {number} x @param {number} [edge] */
const swell = (x, edge = 0.25) => max(0, min(1, min(x, 1 - x) / edge));

/** @type {Record<string, Emote>} */
export const EMOTES = {
  wave: {
    seconds: 2.6,
    whole: false,
    at: (t) => ({
      bones: {
        rightUpperArm: [0, 0.3, -0.1],
        rightLowerArm: [0, 0.15, -1.2 + 0.38 * sin(t * 11)],
        rightHand: [0, 0, 0.25 * sin(t * 11 - 0.6)],
        chest: [0, 0, 0.05],
        head: [0, 0, 0.1 + 0.03 * sin(t * 5)],
      },
      face: { happy: 0.9 },
    }),
  },
  nod: {
    seconds: 1.5,
    whole: false,
    at: (t) => ({
      bones: { head: [0.34 * max(0, sin(t * 8.4)), 0, 0], neck: [0.12 * max(0, sin(t * 8.4)), 0, 0] },
      face: { relaxed: 0.5 },
    }),
  },
  clap: {
    seconds: 2.6,
    whole: false,
    at: (t) => {
      const open = 0.16 + 0.22 * abs(sin(t * 10));
      return {
        bones: {
          leftUpperArm: [-0.75, -0.25, -1.0],
          rightUpperArm: [-0.75, 0.25, 1.0],
          leftLowerArm: [0, -1.75 + open, 0.35],
          rightLowerArm: [0, 1.75 - open, -0.35],
          spine: [0.03 * sin(t * 10), 0, 0],
        },
        face: { happy: 0.8 },
      };
    },
  },
  bow: {
    seconds: 2.4,
    whole: true,
    at: (t) => {
      const depth = swell(t / 2.4, 0.32);
      return {
        bones: {
          hips: [0.22 * depth, 0, 0],
          spine: [0.36 * depth, 0, 0],
          chest: [0.2 * depth, 0, 0],
          neck: [0.15 * depth, 0, 0],
          head: [0.1 * depth, 0, 0],
          leftUpperLeg: [-0.22 * depth, 0, 0],
          rightUpperLeg: [-0.22 * depth, 0, 0],
          leftUpperArm: [-0.35 * depth, 0, -1.3],
          rightUpperArm: [-0.35 * depth, 0, 1.3],
        },
        face: { blink: depth > 0.6 ? 1 : 0 },
      };
    },
  },
  dance: {
    seconds: 9.6,
    whole: true,
    at: (t) => {
      const beat = t * 2 * PI * 1.05;
      const [side, bounce] = [sin(beat / 2), abs(sin(beat / 2 + PI / 2))];
      const up = 0.5 + 0.5 * sin(beat / 8);
      return {
        bones: {
          hips: [0, 0.22 * sin(beat / 2), 0.1 * side],
          spine: [0.03, -0.18 * sin(beat / 2), -0.1 * side],
          chest: [0, -0.1 * sin(beat / 2), -0.06 * side],
          head: [0.06 * bounce, 0.1 * side, 0.12 * side],
          leftUpperArm: [-0.5, -0.2, -0.85 + 1.35 * up + 0.3 * side],
          rightUpperArm: [-0.5, 0.2, 0.85 - 1.35 * up + 0.3 * side],
          leftLowerArm: [0, -0.9, 0.55 + 0.45 * cos(beat)],
          rightLowerArm: [0, 0.9, -0.55 - 0.45 * cos(beat)],
          leftUpperLeg: [-0.28 - 0.3 * max(0, side), 0, 0.05],
          rightUpperLeg: [-0.28 - 0.3 * max(0, -side), 0, -0.05],
          leftLowerLeg: [0.5 + 0.55 * max(0, side), 0, 0],
          rightLowerLeg: [0.5 + 0.55 * max(0, -side), 0, 0],
          leftFoot: [-0.22, 0, 0],
          rightFoot: [-0.22, 0, 0],
        },
        lift: -0.035 + 0.025 * bounce,
        turn: t > 4.2 && t < 5.4 ? ((t - 4.2) / 1.2) * 2 * PI : 0,
        face: { happy: 0.5 + 0.5 * bounce },
      };
    },
  },
  cheer: {
    seconds: 2.2,
    whole: true,
    at: (t) => {
      const hop = sin(((t * 2.0) % 1) * PI);
      const fold = 1 - hop;
      return {
        bones: {
          leftUpperArm: [-0.2, 0, 0.95 + 0.25 * hop],
          rightUpperArm: [-0.2, 0, -0.95 - 0.25 * hop],
          leftLowerArm: [0, -0.3, 0.25],
          rightLowerArm: [0, 0.3, -0.25],
          spine: [-0.08 * hop, 0, 0],
          head: [-0.15 * hop, 0, 0],
          leftUpperLeg: [-0.4 * fold, 0, 0.06],
          rightUpperLeg: [-0.4 * fold, 0, -0.06],
          leftLowerLeg: [0.75 * fold, 0, 0],
          rightLowerLeg: [0.75 * fold, 0, 0],
          leftFoot: [-0.35 * fold + 0.5 * hop, 0, 0],
          rightFoot: [-0.35 * fold + 0.5 * hop, 0, 0],
        },
        lift: 0.3 * hop - 0.05 * fold,
        face: { happy: 1 },
      };
    },
  },
};
