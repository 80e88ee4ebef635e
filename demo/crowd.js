/** Everyone's avatars on the stage: one's own at once, the others as the SDK's smoothed poses say. */

import { Vector3 } from "three";
import { RemoteAvatars } from "vchat-client";
import { Avatar } from "./avatar.js";
import { byId } from "./dom.js";
import { Label } from "./labels.js";
import { seatColour } from "./seats.js";

/** Whom one looks at by oneself. */
const NEAR_M = 3.2;
/** Over the last pose of somebody who dozes: the head sinks, the eyes are closed. */
const ASLEEP = { bones: { neck: [0.12, 0, 0.03, 0.992], head: [0.25, 0, 0.06, 0.966] }, expressions: { blink: 1 } };

/** @typedef {{member: import("../client/types.js").Member, avatar: Avatar, label: Label, look: string | null}} Somebody */

export class Crowd {
  /** @type {Map<number, Somebody>} */
  #people = new Map();
  #room;
  #stage;
  #remote;
  #wardrobe;
  #onFault;
  #point = new Vector3();

  /**
   * @param {import("vchat-client").RoomClient} room @param {import("./stage.js").Stage} stage
   * @param {import("./wardrobe.js").Wardrobe} wardrobe @param {(error: unknown) => void} onFault
   */
  constructor(room, stage, wardrobe, onFault) {
    this.#room = room;
    this.#stage = stage;
    this.#wardrobe = wardrobe;
    this.#onFault = onFault;
    this.#remote = new RemoteAvatars(room);
  }

  /** Match the room's members. @param {import("./account.js").Account} account one's own, whose look is newer than the ticket's */
  sync(account) {
    const { members, seat: own } = this.#room;
    for (const [seat, somebody] of this.#people) {
      if (members.get(seat)?.userId === somebody.member.userId) continue;
      somebody.avatar.dispose();
      somebody.label.remove();
      this.#people.delete(seat);
    }
    for (const [seat, member] of members) {
      let somebody = this.#people.get(seat);
      if (!somebody) {
        somebody = { member, avatar: new Avatar(this.#stage), label: new Label(byId("labels")), look: null };
        this.#people.set(seat, somebody);
      }
      somebody.member = member;
      somebody.label.call(member.name, seatColour(seat), { own: seat === own, asleep: member.away });
      const worn = seat === own ? account.avatar : member.avatar;
      const look = this.#wardrobe.look(worn, { own: seat === own });
      if (look === somebody.look) continue;
      somebody.look = look;
      somebody.avatar.wear(this.#wardrobe.body(worn, seat === own ? account.look : "", { own: seat === own })).catch(this.#onFault);
    }
  }

  /** @param {number} seat @param {string} text */
  say(seat, text) { this.#people.get(seat)?.label.say(text); }

  /** @param {number} dt @param {any} ownPose @param {(userId: string) => number} voice how loud somebody speaks, 0 to 1 */
  frame(dt, ownPose, voice) {
    const eye = this.#stage.camera.position;
    for (const [seat, { member, avatar, label }] of this.#people) {
      if (seat === this.#room.seat) avatar.take(ownPose);
      else if (this.#remote.sample(seat)) avatar.take(this.#remote.pose(seat));
      if (member.away) avatar.take(ASLEEP);
      avatar.update(dt, eye, voice(member.userId));
      label.move(avatar.place.visible ? this.#stage.project(this.#point.copy(avatar.crown)) : null);
    }
  }

  /** The direction to whoever is nearest, as seen from (x, z). @param {number} x @param {number} z @param {number} [most] metres @returns {{yaw: number, pitch: number} | null} */
  nearest(x, z, most = NEAR_M) {
    let found = null;
    for (const [seat, { avatar }] of this.#people) {
      if (seat === this.#room.seat || !avatar.place.visible) continue;
      const [dx, dz] = [avatar.place.position.x - x, avatar.place.position.z - z];
      const distance = Math.hypot(dx, dz);
      if (distance >= most) continue;
      most = distance;
      found = { yaw: Math.atan2(dx, dz), pitch: 0 };
    }
    return found;
  }

  /** Where everyone stands, by account. @returns {Record<string, [number, number, number]>} */
  positions() {
    return Object.fromEntries([...this.#people.values()].filter(({ avatar }) => avatar.place.visible)
      .map(({ member, avatar }) => [member.userId, /** @type {[number, number, number]} */ (avatar.place.position.toArray())]));
  }

  /** How far everyone's mouth is open, by account. @returns {Record<string, number>} */
  mouths() {
    return Object.fromEntries([...this.#people.values()].map(({ member, avatar }) => [member.userId, avatar.vrm?.expressionManager?.getValue("aa") ?? 0]));
  }

  /** What everyone is seen in, by account: the names in the models' files. @returns {Record<string, string>} */
  bodies() {
    return Object.fromEntries([...this.#people.values()].map(({ member, avatar: { vrm } }) =>
      [member.userId, (vrm?.meta.metaVersion === "1" ? vrm.meta.name : vrm?.meta.title) ?? ""]));
  }

  close() {
    this.#remote.close();
    for (const { avatar, label } of this.#people.values()) {
      avatar.dispose();
      label.remove();
    }
    this.#people.clear();
  }
}
