/** Our own pose on its way out: the newest one, at the room's pace, and only when it changed. */

export const KEYFRAME_MS = 2_000;
/** Unchanged for so long is rest, not just a page that draws slower than the room ticks. */
export const REST_MS = 250;
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
  #fault;
  #lastFault = "";
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
   *   send: (seq: number, body: Uint8Array) => boolean, reserve: (upTo: number) => void, fault: (error: unknown) => void}} ports
   *   `send` answers whether the connection could take it; `reserve` is told the number a later page may start from; `fault` what
 *   was wrong with a pose, once until it changes
   */
  constructor({ clock, newEncoder, firstSeq, send, reserve, fault }) {
    this.#clock = clock;
    this.#newEncoder = newEncoder;
    this.#send = send;
    this.#reserve = reserve;
    this.#fault = fault;
    this.#seq = firstSeq;
    this.#reserved = firstSeq;
  }

  /** A connection is ready; its first pose is a keyframe. @param {number} hz at most */
  start(hz) {
    this.#encoder = this.#newEncoder();
    this.#intervalMs = 1000 / hz;
    this.#lastKeyframeAt = -Infinity;
    this.#sendIfDue();
  }

  stop() {
    this.#encoder = null;
    this.#cancel();
  }

  /** @param {Pose} pose may be the same object every time: what it holds when a pose is due is sent */
  set(pose) {
    this.#pose = pose;
    this.#sendIfDue();
  }

  #sendIfDue() {
    if (!this.#encoder || !this.#pose) return;
    const wait = this.#lastSentAt + this.#intervalMs - this.#clock.now();
    if (wait <= 0) this.#sendNow(this.#encoder, this.#pose);
    else this.#lookAgain(wait);
  }

  /** @param {Encoder} encoder @param {Pose} pose */
  #sendNow(encoder, pose) {
    this.#cancel();
    const now = this.#clock.now();
    const first = this.#lastKeyframeAt === -Infinity;
    const due = first || (this.#moving && now - this.#lastKeyframeAt >= KEYFRAME_MS);
    let body = this.#encode(encoder, pose, due);
    // Coming to rest is said once, whole: a reader that skipped the last tick would be wrong until the next move.
    const resting = !body && this.#moving && now - this.#lastSentAt >= REST_MS;
    if (resting) body = this.#encode(encoder, pose, true);
    this.#moving = !resting && (this.#moving || body !== null);
    if (body) this.#dispatch(body, now, due || resting);
    // Even if set() is not called again: that is how rest is noticed, and how what could not be sent is.
    if (body || this.#moving) this.#lookAgain(this.#intervalMs);
  }

  /** @param {number} ms */
  #lookAgain(ms) {
    this.#timer ??= this.#clock.setTimeout(() => {
      this.#timer = null;
      this.#sendIfDue();
    }, ms);
  }

  #cancel() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** @param {Uint8Array} body @param {number} now @param {boolean} keyframe */
  #dispatch(body, now, keyframe) {
    this.#lastSentAt = now;
    if (this.#seq === this.#reserved) this.#reserveBlock();
    if (this.#send(this.#seq, body)) {
      if (keyframe) this.#lastKeyframeAt = now;
      this.#seq = (this.#seq + 1) & 0xffff;
    } else {
      this.#lastKeyframeAt = -Infinity; // It was not sent, but the encoder believes so.
    }
  }

  /** @param {Encoder} encoder @param {Pose} pose @param {boolean} keyframe */
  #encode(encoder, pose, keyframe) {
    try {
      const body = encoder.encode(pose, this.#seq, { keyframe });
      this.#lastFault = "";
      return body;
    } catch (error) {
      // The page's mistake, in every frame it draws: say it once.
      if (String(error) !== this.#lastFault) this.#fault(error);
      this.#lastFault = String(error);
      return null;
    }
  }

  #reserveBlock() {
    this.#reserved = (this.#seq + BLOCK) & 0xffff;
    this.#reserve(this.#reserved);
  }
}
