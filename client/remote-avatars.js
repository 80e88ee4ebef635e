/** The other people's avatars as they are to be drawn now, fed by a room. */

import { PoseBuffer } from "./interpolation.js";
import { emptyPose } from "./pose-blend.js";
import { systemClock } from "./clock.js";
import { TickClock } from "./tick-clock.js";

/**
 * @typedef {import("./pose.js").Pose} Pose
 * @typedef {{buffer: PoseBuffer, pose: Pose}} Avatar
 */

export class RemoteAvatars {
  #clock;
  #ticks = new TickClock();
  /** @type {Map<number, Avatar>} */
  #avatars = new Map();
  /** @type {(() => void)[]} */
  #stop;

  /**
   * @param {import("./room.js").RoomClient} room
   * @param {{clock?: import("./types.js").Clock}} [options] the clock the room has, if it is not the system's
   */
  constructor(room, { clock = systemClock } = {}) {
    this.#clock = clock;
    this.#stop = [
      room.on("welcome", ({ tickHz }) => this.#arrive(room.members, tickHz)),
      room.on("left", ({ seat, replayed }) => { if (!replayed) this.#avatars.delete(seat); }),
      room.on("pose", ({ seat, serverTime, pose }) => this.#avatar(seat).buffer.push(serverTime, pose)),
      room.on("tick", ({ serverTime, arrivedAt }) => this.#ticks.observe(serverTime, arrivedAt)),
    ];
  }

  /**
   * Bring the pose of `seat` up to date.
   * @param {number} seat
   * @param {number} [nowMs] by the same clock
   * @returns {boolean} false while nothing of that seat has come yet, for your own seat always
   */
  sample(seat, nowMs = this.#clock.now()) {
    const avatar = this.#avatars.get(seat);
    const moment = this.#ticks.drawingTime(nowMs);
    return avatar !== undefined && !Number.isNaN(moment) && avatar.buffer.sample(moment, avatar.pose);
  }

  /**
   * @param {number} seat
   * @returns {Pose} the same object every time; empty while `sample` is false
   */
  pose(seat) {
    return this.#avatars.get(seat)?.pose ?? emptyPose();
  }

  close() {
    for (const stop of this.#stop) stop();
    this.#avatars.clear();
  }

  /** @param {ReadonlyMap<number, unknown>} members @param {number} tickHz */
  #arrive(members, tickHz) {
    this.#ticks.reset(tickHz);
    for (const [seat, { buffer }] of this.#avatars) {
      if (members.has(seat)) buffer.restart();
      else this.#avatars.delete(seat);
    }
  }

  /** @param {number} seat */
  #avatar(seat) {
    let avatar = this.#avatars.get(seat);
    if (!avatar) this.#avatars.set(seat, (avatar = { buffer: new PoseBuffer(), pose: emptyPose() }));
    return avatar;
  }
}
