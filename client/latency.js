/**
 * How far away the relay is, from what is answered anyway: nothing is sent just to measure.
 *
 * Each answer contains waiting (for the next tick, for storage), never less than the way itself. So the smallest of the
 * last samples is the best estimate, as in the clock filter of NTP (RFC 5905, section 10).
 */

const WINDOW_MS = 30_000;
const MAX_SAMPLES = 256;
const MAX_UNANSWERED = 64;

/** @typedef {{rttMs: number, source: "pose" | "ack"}} Latency */

export class RoundTrip {
  /** @type {Map<number, number>} pose seq → when it was sent */
  #unanswered = new Map();
  /** @type {{at: number, latency: Latency}[]} */
  #samples = [];

  /** @param {number} seq @param {number} now */
  poseSent(seq, now) {
    this.#unanswered.set(seq, now);
    if (this.#unanswered.size > MAX_UNANSWERED) {
      const [oldest] = this.#unanswered.keys();
      this.#unanswered.delete(/** @type {number} */ (oldest));
    }
  }

  /** Our own pose came back in a tick. @param {number} seq @param {number} now @returns {boolean} whether that was news */
  poseSeen(seq, now) {
    const sentAt = this.#unanswered.get(seq);
    if (sentAt === undefined) return false;
    this.#unanswered.delete(seq);
    this.sample(now - sentAt, "pose", now);
    return true;
  }

  /** @param {number} rttMs @param {Latency["source"]} source @param {number} now */
  sample(rttMs, source, now) {
    this.#samples = this.#samples.filter(({ at }) => now - at < WINDOW_MS).slice(1 - MAX_SAMPLES);
    this.#samples.push({ at: now, latency: { rttMs, source } });
  }

  /** Another connection, another way. */
  reset() {
    this.#unanswered.clear();
    this.#samples = [];
  }

  /** @returns {Latency | null} the shortest of the last 30 s */
  get best() {
    /** @type {Latency | null} */
    let best = null;
    for (const { latency } of this.#samples) if (!best || latency.rttMs < best.rttMs) best = latency;
    return best;
  }
}
