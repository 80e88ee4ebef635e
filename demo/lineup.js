/** The lobby's stage: every look standing in a row, the chosen one in front, waving; the chosen one alone where little is drawn. */

import { Vector3 } from "three";
import { Avatar } from "./avatar.js";
import { Motion } from "./motion.js";
import { approach } from "./rotation.js";
import { loadPreset } from "./vrm-files.js";

const GAP_M = 0.78;
const FORWARD_M = 1.0;
/** How much of the row must fit beside the lobby's card. */
const ROW_M = 4.7;
const CARD_PX = 480;
/** From here down the card lies below the stage; styles.css has the same number. */
const NARROW_PX = 860;

export class Lineup {
  /** @type {{id: string, avatar: Avatar, motion: Motion, x: number, z: number, row: number, dressed: boolean}[]} */
  #figures = [];
  #chosen = "";
  #stop;
  #onFault;
  #stage;

  /** @param {import("./stage.js").Stage} stage @param {{id: string}[]} presets @param {(error: unknown) => void} onFault */
  constructor(stage, presets, onFault) {
    this.#stage = stage;
    this.#onFault = onFault;
    presets.forEach(({ id }, i) => {
      const x = stage.light ? 0 : (i - (presets.length - 1) / 2) * GAP_M;
      this.#figures.push({ id, avatar: new Avatar(stage), motion: new Motion(), x, z: 0, row: i % 2 ? -0.55 : 0, dressed: false });
    });
    if (!stage.light) for (const { id, avatar } of this.#figures) avatar.wear(loadPreset(id)).catch(onFault);
    this.#stop = stage.onFrame((dt) => this.#frame(dt));
  }

  /** @param {string} id */
  choose(id) {
    const figure = this.#figures.find((figure) => figure.id === id);
    if (id !== this.#chosen) figure?.motion.act("wave");
    this.#chosen = id;
    if (this.#stage.light && figure && !figure.avatar.vrm) figure.avatar.wear(loadPreset(id)).catch(this.#onFault);
  }

  /** Let the chosen figure show something else than its preset; null gives it back. @param {Promise<import("./avatar.js").VRM> | null} body */
  dress(body) {
    for (const figure of this.#figures) {
      if (!(figure.id === this.#chosen && body) && !figure.dressed) continue;
      figure.dressed = figure.id === this.#chosen && body !== null;
      figure.avatar.wear(figure.dressed && body ? body : loadPreset(figure.id)).catch(this.#onFault);
    }
  }

  close() {
    this.#stop();
    for (const { avatar } of this.#figures) avatar.dispose();
  }

  /** @param {number} dt */
  #frame(dt) {
    const chosen = this.#figures.find(({ id }) => id === this.#chosen);
    const narrow = innerWidth <= NARROW_PX;
    const { view } = this.#stage;
    view.aim.set((chosen?.x ?? 0) * 0.15, narrow ? 0.72 : 0.83, 0);
    const { fov, aspect } = this.#stage.camera;
    const free = narrow ? aspect : aspect * (1 - CARD_PX / innerWidth);
    view.distance = Math.max(narrow ? 3.2 : 4.6, ROW_M / (2 * Math.tan((fov * Math.PI) / 360) * free));
    view.shift = narrow ? 0 : CARD_PX;
    const eye = new Vector3();
    for (const figure of this.#figures) {
      figure.avatar.place.visible = figure === chosen || !this.#stage.light;
      if (!figure.avatar.place.visible) continue;
      const wanted = figure === chosen ? FORWARD_M : figure.row - 0.1 * Math.abs(figure.x);
      const z = approach(figure.z, wanted, 5, dt);
      const speed = Math.abs(z - figure.z) / Math.max(dt, 0.001);
      figure.z = z;
      const toEye = eye.copy(this.#stage.camera.position).sub(figure.avatar.place.position);
      const interest = figure === chosen ? { yaw: Math.atan2(toEye.x, toEye.z), pitch: -0.05 } : null;
      const pose = figure.motion.update(dt, { x: figure.x, z: figure.z, yaw: -figure.x * 0.07, speed: speed > 0.15 ? speed : 0 }, interest);
      figure.avatar.take(pose);
      figure.avatar.update(dt, this.#stage.camera.position);
    }
  }
}
