/** Other people's poses out of ticks: one decoder per seat, in order. */

import { isNewer, readTick, unwrapTime } from "./frames.js";

/** V-Chat pose v1, the first byte of a body; other formats belong to the application. */
const FORMAT = 1;
/** What is told again is at most a few poses old; a sender further back has started anew, in another page. */
const REPEAT = 256;

/**
 * @typedef {import("./pose.js").Pose} Pose
 * @typedef {{decode(body: Uint8Array, seq: number): Pose | null}} Decoder `null`: nothing to show before a keyframe
 * @typedef {{seat: number, seq: number, serverTime: number, pose: Pose}} SeatPose
 * @typedef {{tick: number, serverTime: number, ownSeqs: number[], poses: SeatPose[], faults: string[]}} Received
 *   `ownSeqs`: which of our own poses came back; `faults`: what could not be read
 */

export class PoseReceiver {
  #newDecoder;
  /** @type {Map<number, {decoder: Decoder, seq: number}>} */
  #seats = new Map();

  /** @param {() => Decoder} newDecoder */
  constructor(newDecoder) {
    this.#newDecoder = newDecoder;
  }

  /** A new session: every seat starts again with its keyframe. */
  reset() {
    this.#seats.clear();
  }

  /** @param {number} seat given up, maybe to somebody else later */
  drop(seat) {
    this.#seats.delete(seat);
  }

  /**
   * @param {ArrayBuffer} buffer
   * @param {{ownSeat: number, members: ReadonlyMap<number, unknown>, serverNow: number}} known
   * @returns {Received}
   * @throws {RangeError} if it is not a whole tick frame
   */
  receive(buffer, { ownSeat, members, serverNow }) {
    const { tick, serverTime32, avatars } = readTick(buffer);
    const serverTime = unwrapTime(serverTime32, Math.round(serverNow));
    /** @type {Received} */
    const received = { tick, serverTime, ownSeqs: [], poses: [], faults: [] };
    for (const { seat, seq, body } of avatars) {
      if (seat === ownSeat) received.ownSeqs.push(seq);
      else if (members.has(seat) && body[0] === FORMAT) this.#decode(seat, seq, body, received);
    }
    return received;
  }

  /**
   * @param {number} seat
   * @param {number} seq
   * @param {Uint8Array} body
   * @param {Received} received
   */
  #decode(seat, seq, body, received) {
    let known = this.#seats.get(seat);
    // The same number again may say more: a full room tells of those who are far in part, and whole when they come near.
    if (known && seq !== known.seq && !isNewer(seq, known.seq)) {
      if (((known.seq - seq) & 0xffff) < REPEAT) return;
      known = undefined;
    }
    const { decoder } = known ?? { decoder: this.#newDecoder() };
    this.#seats.set(seat, { decoder, seq });
    try {
      const pose = decoder.decode(body, seq);
      if (pose) received.poses.push({ seat, seq, serverTime: received.serverTime, pose });
    } catch (error) {
      received.faults.push(`The pose of seat ${seat} could not be read: ${error}`);
    }
  }
}
