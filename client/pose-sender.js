/** Our own pose on its way out: the newest one, at the room's pace, and only when it changed. */

export const KEYFRAME_MS = 2_000;
/** Sequence numbers are reserved in blocks, so that a reload can go on above every number the page before it used. */
const BLOCK = 128;

/**
 * @typedef {import("./pose.js").Pose} Pose
 * @typedef {{encode(pose: Pose, seq: number, options: {keyframe: boolean}): Uint8Array | null}} Encoder
 */

export class PoseSender {
  #clock;
  #newEncoder;
  #send;
  #reserve;
  /** @type {Encoder | null} */
  #encoder = null;
  #intervalMs = Infinity;
  /** @type {Pose | null} */
  #pose = null;
  #seq;
  #reserved;
  #lastSentAt = -Infinity;
  #lastKeyframeAt = -Infinity;
  #moving = false;
  /** @type {unknown} */
  #timer = null;

  /**
   * @param {{clock: import("./types.js").Clock, newEncoder: () => Encoder, firstSeq: number,
   *   send: (seq: number, body: Uint8Array) => boolean, reserve: (upTo: number) => void}} ports
   *   `send` answers whether the connection could take it; `reserve` is told the number a later page may start from
   */
  constructor({ clock, newEncoder, firstSeq, send, reserve }) {
    this.#clock = clock;
    this.#newEncoder = newEncoder;
    this.#send = send;
    this.#reserve = reserve;
    this.#seq = firstSeq;
    this.#reserved = firstSeq;
  }

  /** A connection is ready; its first pose is a keyframe. @param {number} hz at most */
  start(hz) {
    this.#encoder = this.#newEncoder();
    this.#intervalMs = 1000 / hz;
    this.#lastKeyframeAt = -Infinity;
    this.#arm();
  }

  stop() {
    this.#encoder = null;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** @param {Pose} pose may be the same object every time: what it holds when a pose is due is sent */
  set(pose) {
    this.#pose = pose;
    this.#arm();
  }

  /** @returns {void} */
  #arm() {
    if (!this.#encoder || !this.#pose || this.#timer !== null) return;
    const wait = this.#lastSentAt + this.#intervalMs - this.#clock.now();
    if (wait <= 0) return this.#sendNow();
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = null;
      this.#sendNow();
    }, wait);
  }

  /** @returns {void} */
  #sendNow() {
    if (!this.#encoder || !this.#pose) return;
    const now = this.#clock.now();
    this.#lastSentAt = now;
    let keyframe = now - this.#lastKeyframeAt >= KEYFRAME_MS && (this.#moving || this.#lastKeyframeAt === -Infinity);
    let body = this.#encoder.encode(this.#pose, this.#seq, { keyframe });
    if (!body && this.#moving) {
      // Coming to rest is said once, whole: a reader that skipped the last tick would be wrong until the next move.
      keyframe = true;
      body = this.#encoder.encode(this.#pose, this.#seq, { keyframe });
      this.#moving = false;
    } else {
      this.#moving = body !== null;
    }
    if (!body) return;
    if (this.#seq === this.#reserved) this.#reserveBlock();
    if (!this.#send(this.#seq, body)) {
      // It was not sent, but the encoder believes so: begin again with a keyframe.
      this.#lastKeyframeAt = -Infinity;
      return this.#arm();
    }
    if (keyframe) this.#lastKeyframeAt = now;
    this.#seq = (this.#seq + 1) & 0xffff;
    // Look once more one interval later, even if set() is not called again: that is how rest is noticed.
    this.#arm();
  }

  #reserveBlock() {
    this.#reserved = (this.#seq + BLOCK) & 0xffff;
    this.#reserve(this.#reserved);
  }
}
