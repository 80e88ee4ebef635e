/** A mouth that goes with a voice: it opens with the loudness, and moves while that lasts. */

import { approach } from "./rotation.js";

/** Mouths open and close about so often in speech. */
const SYLLABLES_HZ = 4.6;
const MOST = 0.85;
const RATE = 22;

export class Mouth {
  #open = 0;
  #time = 0;

  /** @param {number} dt seconds @param {number} level how loud the voice is, 0 to 1 @returns {number} how far it is open, 0 to 1; 0 when nothing was said */
  update(dt, level) {
    this.#time = level > 0 ? this.#time + dt : 0;
    // Loudness comes as an amplitude, and a few times a second only.
    const wide = Math.min(MOST, Math.sqrt(level) * 1.4);
    this.#open = approach(this.#open, wide * (0.55 - 0.45 * Math.cos(2 * Math.PI * SYLLABLES_HZ * this.#time)), RATE, dt);
    if (level === 0 && this.#open < 0.005) this.#open = 0;
    return this.#open;
  }
}
