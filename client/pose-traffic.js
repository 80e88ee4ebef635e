/** Poses out and in over whatever connection there is, and what they tell about the way and the relay's clock. */

import { poseFrame } from "./frames.js";
import { RoundTrip } from "./latency.js";
import { PoseDecoder, PoseEncoder } from "./pose.js";
import { PoseReceiver } from "./pose-receiver.js";
import { PoseSender } from "./pose-sender.js";
import { RoomError } from "./room-error.js";
import { TickClock } from "./tick-clock.js";

const LATENCY_EVERY_MS = 1_000;

/** @typedef {"pose" | "tick" | "latency" | "error"} PoseEvent */

export class PoseTraffic {
  #clock;
  #connection;
  #emit;
  #sender;
  #receiver = new PoseReceiver(() => new PoseDecoder());
  #roundTrip = new RoundTrip();
  #ticks = new TickClock();
  #latencyToldAt = -Infinity;
  #ownSeat = -1;

  /**
   * @param {{clock: import("./types.js").Clock, firstSeq: number, reserve: (upTo: number) => void,
   *   connection: () => import("./connection.js").Connection | null,
   *   emit: <T extends PoseEvent>(type: T, payload: import("./types.js").RoomEvents[T]) => void}} ports
   */
  constructor({ clock, firstSeq, reserve, connection, emit }) {
    this.#clock = clock;
    this.#connection = connection;
    this.#emit = emit;
    this.#sender = new PoseSender({
      clock, firstSeq, reserve,
      newEncoder: () => new PoseEncoder(),
      send: (seq, body) => this.#send(seq, body),
      fault: (cause) => emit("error", new RoomError("bad-pose", `Your pose cannot be sent: ${cause}`, { cause })),
    });
  }

  get latency() {
    return this.#roundTrip.best;
  }

  /** @returns {number} ms since the epoch by the relay's clock; by ours before the first welcome */
  serverNow() {
    const apparent = this.#ticks.apparentOffsetMs;
    return this.#clock.now() + (Number.isNaN(apparent) ? 0 : apparent + (this.latency?.rttMs ?? 0) / 2);
  }

  /** Another connection: another way, perhaps another relay's clock. @param {import("./types.js").Welcome} welcome */
  welcomed({ seat, serverTime }) {
    this.#ownSeat = seat;
    this.#receiver.reset();
    this.#roundTrip.reset();
    this.#ticks.reset();
    this.#ticks.observe(serverTime, this.#clock.now());
  }

  /** Begin to send. @param {import("./types.js").Welcome} welcome */
  start({ role, tickHz, limits }) {
    if (role !== "spectator") this.#sender.start(Math.min(tickHz, limits?.poseHz ?? tickHz));
  }

  stop() {
    this.#sender.stop();
  }

  /** @param {import("./pose.js").Pose} pose */
  set(pose) {
    this.#sender.set(pose);
  }

  /** @param {number} seat given up */
  drop(seat) {
    this.#receiver.drop(seat);
  }

  /** A message was answered. @param {number} rttMs */
  acked(rttMs) {
    this.#roundTrip.sample(rttMs, "ack", this.#clock.now());
    this.#tellLatency();
  }

  /** @param {ArrayBuffer} buffer @param {ReadonlyMap<number, unknown>} members by seat */
  receive(buffer, members) {
    const arrivedAt = this.#clock.now();
    let received;
    try {
      received = this.#receiver.receive(buffer, { ownSeat: this.#ownSeat, members, serverNow: this.serverNow() });
    } catch (error) {
      return this.#emit("error", new RoomError("bad-frame", String(error), { cause: error }));
    }
    const { tick, serverTime, ownSeqs, poses, faults } = received;
    this.#ticks.observe(serverTime, arrivedAt);
    for (const pose of poses) this.#emit("pose", pose);
    this.#emit("tick", { tick, serverTime, arrivedAt });
    for (const fault of faults) this.#emit("error", new RoomError("bad-pose", fault));
    for (const seq of ownSeqs) if (this.#roundTrip.poseSeen(seq, arrivedAt)) this.#tellLatency();
  }

  /** @param {number} seq @param {Uint8Array} body */
  #send(seq, body) {
    const connection = this.#connection();
    if (!connection || connection.backedUp) return false;
    connection.sendBytes(poseFrame(seq, body));
    this.#roundTrip.poseSent(seq, this.#clock.now());
    return true;
  }

  #tellLatency() {
    const [latency, now] = [this.latency, this.#clock.now()];
    if (!latency || now - this.#latencyToldAt < LATENCY_EVERY_MS) return;
    this.#latencyToldAt = now;
    this.#emit("latency", latency);
  }
}
