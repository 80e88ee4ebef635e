/**
 * Which moment of the relay's time to draw now: late enough that the next pose has usually come, and moving on evenly.
 *
 * The shortest way a tick took lately is the fixed part of the delay; what others took longer is jitter, and decides
 * how late within 100–150 ms to draw.
 */

export const MIN_DELAY_MS = 100;
export const MAX_DELAY_MS = 150;
const USUAL_HZ = 20;
const BUCKET_MS = 2_000;
/** Drawing speeds up or slows down by at most this share while it moves to a new delay. */
const SLEW = 0.1;
/** Further off than this it jumps. */
const JUMP_MS = 500;
const JITTER_DECAY = 0.98;

export class TickClock {
  #bucketStart = -Infinity;
  #least = Infinity;
  #leastBefore = Infinity;
  #jitter = 0;
  #lag = NaN;
  #observedAt = NaN;
  #spreadMs = 0;

  /** Another relay, another clock. @param {number} [tickHz] how often it ticks; what is rarer than usual is drawn that much later */
  reset(tickHz = USUAL_HZ) {
    this.#spreadMs = Math.max(0, 1000 / tickHz - 1000 / USUAL_HZ);
    this.#bucketStart = -Infinity;
    this.#jitter = 0;
    this.#lag = NaN;
  }

  /**
   * @param {number} serverMs the tick's time
   * @param {number} arrivedMs when it came, by our clock
   */
  observe(serverMs, arrivedMs) {
    const age = arrivedMs - serverMs;
    if (arrivedMs - this.#bucketStart >= BUCKET_MS) {
      this.#leastBefore = arrivedMs - this.#bucketStart < 2 * BUCKET_MS ? this.#least : Infinity;
      this.#least = Infinity;
      this.#bucketStart = arrivedMs;
    }
    this.#least = Math.min(this.#least, age);
    const least = Math.min(this.#least, this.#leastBefore);
    this.#jitter = Math.max(age - least, this.#jitter * JITTER_DECAY);
    const target = least + this.#spreadMs + Math.min(MAX_DELAY_MS, Math.max(MIN_DELAY_MS, 50 + this.#jitter));
    const step = SLEW * (arrivedMs - this.#observedAt);
    const off = target - this.#lag;
    this.#lag = Math.abs(off) <= JUMP_MS && step >= 0 ? this.#lag + Math.max(-step, Math.min(step, off)) : target;
    this.#observedAt = arrivedMs;
  }

  /** @returns {number} the relay's clock minus ours as it looks from here: too small by the way of the fastest tick; NaN before the first */
  get apparentOffsetMs() {
    return Number.isNaN(this.#lag) ? NaN : -Math.min(this.#least, this.#leastBefore);
  }

  /**
   * @param {number} nowMs by our clock
   * @returns {number} the relay's time to draw, NaN before the first tick
   */
  drawingTime(nowMs) {
    return nowMs - this.#lag;
  }
}
