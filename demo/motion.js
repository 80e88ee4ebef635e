/** What a body does by itself: it breathes, blinks, glances, walks and acts; the result is a whole pose, which others see as it is. */

import { EMOTES } from "./emotes.js";
import { approach, toQuaternion, wrapped } from "./rotation.js";

/**
 * @typedef {import("./rotation.js").Angles} Angles
 * @typedef {{root: {position: [number, number, number], rotation: [number, number, number, number]},
 *   bones: Record<string, [number, number, number, number]>, expressions: Record<string, number>, gaze: [number, number]}} BodyPose
 * @typedef {{x: number, z: number, yaw: number, speed: number}} Place metres, radians, metres per second
 */

const BONES = [
  "hips", "spine", "chest", "upperChest", "neck", "head",
  ...["left", "right"].flatMap((side) =>
    ["Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes"].map((part) => side + part)),
];
/** How far the eyes go before the head helps, and how far the head goes. */
const HEAD_MOST = 1.0;
const FADE_S = 0.22;
const MOODS = ["happy", "angry", "sad", "relaxed", "surprised"];

const { sin, cos, abs, max, min, PI } = Math;
const DEGREES = 180 / PI;

export class Motion {
  /** @type {BodyPose} */
  pose = {
    root: { position: [0, 0, 0], rotation: [0, 0, 0, 1] },
    bones: Object.fromEntries(BONES.map((name) => [name, [0, 0, 0, 1]])),
    expressions: { blink: 0, ...Object.fromEntries(MOODS.map((name) => [name, 0])) },
    gaze: [0, 0],
  };
  /** @type {Record<string, Angles>} */
  #angles = Object.fromEntries(BONES.map((name) => [name, [0, 0, 0]]));
  #random;
  #time;
  #phase = 0;
  #gait = 0;
  #run = 0;
  /** @type {{name: string, time: number} | null} */
  #act = null;
  #mood = "";
  #blinkIn = 1.5;
  #blinkFor = 0;
  #glanceIn = 0;
  #glance = [0, 0];
  #look = [0, 0];

  /** @param {() => number} [random] in [0, 1) */
  constructor(random = Math.random) {
    this.#random = random;
    this.#time = random() * 10;
  }

  get emote() { return this.#act?.name ?? null; }
  get mood() { return this.#mood; }

  /** @param {string} name one of EMOTES */
  act(name) { this.#act = { name, time: 0 }; }

  /** @param {string} name a mood's expression, or "" for none */
  feel(name) { this.#mood = name; }

  /**
   * @param {number} dt seconds
   * @param {Place} place where the avatar is
   * @param {{yaw: number, pitch: number} | null} interest the direction of what it looks at, in the world; radians
   * @returns {BodyPose} the same object every time
   */
  update(dt, place, interest) {
    this.#time += dt;
    const gait = min(1, place.speed / 1.2);
    this.#gait = approach(this.#gait, gait, 10, dt);
    this.#run = approach(this.#run, max(0, min(1, (place.speed - 1.9) / 1.2)), 6, dt);
    this.#phase += dt * 2 * PI * (place.speed / (0.62 + 0.3 * place.speed));
    for (const name of BONES) this.#angles[name].fill(0);
    this.#breathe();
    const bob = this.#walk();
    this.#attend(dt, place, interest);
    const { lift, turn, face } = this.#play(dt);
    const { root, bones, expressions, gaze } = this.pose;
    root.position[0] = place.x;
    root.position[1] = bob + lift;
    root.position[2] = place.z;
    toQuaternion([0, wrapped(place.yaw + turn), 0], root.rotation);
    for (const name of BONES) toQuaternion(this.#angles[name], bones[name]);
    this.#express(dt, expressions, face);
    gaze[0] = this.#look[0] * DEGREES;
    gaze[1] = this.#look[1] * DEGREES;
    return this.pose;
  }

  #breathe() {
    const [a, t, still] = [this.#angles, this.#time, 1 - this.#gait];
    const breath = sin(t * 1.9);
    const sway = sin(t * 0.63) * still;
    a.spine[0] = 0.012 * breath;
    a.chest[0] = 0.022 * breath;
    a.hips[2] = 0.018 * sway;
    a.spine[2] = -0.03 * sway;
    a.head[2] = 0.025 * sin(t * 0.47 + 1);
    for (const [side, s] of /** @type {const} */ ([["left", 1], ["right", -1]])) {
      a[`${side}Shoulder`][2] = s * 0.025 * breath;
      a[`${side}UpperArm`][0] = 0.06 + 0.02 * sin(t * 1.1 + s);
      a[`${side}UpperArm`][2] = -s * (1.24 + 0.02 * breath);
      a[`${side}LowerArm`][1] = -s * 0.22;
      a[`${side}Hand`][2] = -s * 0.08;
      a[`${side}UpperLeg`][2] = s * 0.03 - 0.018 * sway;
      a[`${side}Foot`][2] = -s * 0.03;
    }
  }

  /** @returns {number} how much the body rises, metres */
  #walk() {
    const [a, g, run] = [this.#angles, this.#gait, this.#run];
    if (g < 0.002) return 0;
    const stride = g * (0.55 + 0.25 * run);
    for (const [side, s, p] of /** @type {const} */ ([["left", 1, this.#phase], ["right", -1, this.#phase + PI]])) {
      const swing = sin(p);
      const lifted = max(0, cos(p)); // the leg on its way forward
      a[`${side}UpperLeg`][0] = -stride * swing - g * 0.12 * run - g * 0.12 * lifted;
      a[`${side}LowerLeg`][0] = g * (0.12 + (0.75 + 0.55 * run) * lifted);
      a[`${side}Foot`][0] = g * (0.25 * max(0, -swing) - 0.25 * max(0, swing));
      a[`${side}Toes`][0] = -g * 0.3 * max(0, -swing) * (1 - lifted);
      a[`${side}UpperArm`][0] += g * (0.5 + 0.25 * run) * swing;
      a[`${side}UpperArm`][2] += s * g * 0.06;
      a[`${side}LowerArm`][1] += -s * g * (0.2 + 0.95 * run);
    }
    a.hips[1] = -g * 0.09 * sin(this.#phase);
    a.spine[1] = g * 0.12 * sin(this.#phase);
    a.hips[2] += g * 0.035 * cos(this.#phase);
    a.spine[0] += g * (0.03 + 0.12 * run);
    a.head[0] -= g * 0.06 * run;
    return g * (-0.012 + (0.014 + 0.022 * run) * cos(2 * this.#phase + PI));
  }

  /** Eyes first, then the head. @param {number} dt @param {Place} place @param {{yaw: number, pitch: number} | null} interest */
  #attend(dt, place, interest) {
    this.#glanceIn -= dt;
    if (this.#glanceIn < 0) {
      this.#glanceIn = 0.7 + 2.6 * this.#random();
      const wide = this.#random() < 0.25 ? 0.4 : 0.1;
      this.#glance = [(this.#random() - 0.5) * wide, (this.#random() - 0.5) * wide * 0.5];
    }
    let [yaw, pitch] = [0, 0];
    if (interest) {
      const turned = wrapped(interest.yaw - place.yaw);
      if (abs(turned) < 2) [yaw, pitch] = [turned, interest.pitch]; // nobody looks behind their back
    }
    yaw += this.#glance[0];
    pitch += this.#glance[1];
    const a = this.#angles;
    this.#headYaw = approach(this.#headYaw, max(-HEAD_MOST, min(HEAD_MOST, yaw * 0.75)), 5, dt);
    this.#headPitch = approach(this.#headPitch, max(-0.5, min(0.5, pitch * 0.7)), 5, dt);
    a.neck[1] += this.#headYaw * 0.4;
    a.head[1] += this.#headYaw * 0.6;
    a.head[0] += this.#headPitch;
    const rest = [yaw - this.#headYaw, pitch - this.#headPitch];
    for (const i of [0, 1]) this.#look[i] = approach(this.#look[i], max(-0.6, min(0.6, rest[i])), 28, dt);
  }
  #headYaw = 0;
  #headPitch = 0;

  /** @param {number} dt @returns {{lift: number, turn: number, face: Record<string, number>}} */
  #play(dt) {
    const act = this.#act;
    if (!act) return { lift: 0, turn: 0, face: {} };
    const emote = EMOTES[act.name];
    act.time += dt;
    if (act.time >= emote.seconds || (emote.whole && this.#gait > 0.35)) this.#act = null;
    const { bones, lift = 0, turn = 0, face = {} } = emote.at(act.time);
    const weight = max(0, min(1, act.time / FADE_S, (emote.seconds - act.time) / FADE_S)) * (emote.whole ? 1 - this.#gait : 1);
    for (const [name, to] of Object.entries(bones)) {
      const angles = this.#angles[name];
      for (let i = 0; i < 3; i++) angles[i] += (to[i] - angles[i]) * weight;
    }
    return { lift: lift * weight, turn, face: Object.fromEntries(Object.entries(face).map(([k, v]) => [k, v * weight])) };
  }

  /** @param {number} dt @param {Record<string, number>} out @param {Record<string, number>} face */
  #express(dt, out, face) {
    this.#blinkIn -= dt;
    if (this.#blinkIn < 0) {
      this.#blinkFor = 0.16;
      this.#blinkIn = this.#random() < 0.15 ? 0.22 : 1.8 + 3.6 * this.#random();
    }
    this.#blinkFor = max(0, this.#blinkFor - dt);
    const acting = Object.keys(face).length > 0;
    for (const mood of MOODS) {
      const wanted = acting ? (face[mood] ?? 0) : mood === this.#mood ? 1 : 0;
      out[mood] = approach(out[mood], wanted, 14, dt);
      if (out[mood] < 0.004) out[mood] = 0;
    }
    const shut = sin((this.#blinkFor / 0.16) * PI);
    out.blink = max(face.blink ?? 0, shut) * (1 - out.happy);
  }
}
