/** The canvas: scene, light, camera and the loop, with less detail where the machine is slow. */

import { Color, DirectionalLight, Fog, HemisphereLight, PCFShadowMap, PerspectiveCamera, Scene, Vector3, WebGLRenderer } from "three";
import { drawsInSoftware, LEVELS, LIGHT, simplify } from "./detail.js";
import { approach } from "./rotation.js";
import { scenery } from "./scenery.js";

const SLOW_MS = 30;
const JUDGED_MS = 1_500;
/** A new body's textures and programs make the frames after it slow, whatever the machine. */
const SETTLING_MS = 1_000;
const LONGEST_STEP_S = 0.1;

export class Stage {
  scene = new Scene();
  camera = new PerspectiveCamera(42, 1, 0.1, 200);
  /** What the camera looks at and from where: it turns around `aim` at `distance`. */
  view = { aim: new Vector3(0, 1, 0), yaw: Math.PI, pitch: 0.14, distance: 4.2, shift: 0 };
  /** @type {Set<(dt: number, now: number) => void>} */
  #listeners = new Set();
  /** Little is drawn, and everything flat: for machines without a graphics processor. */
  light;
  #renderer;
  #levels;
  #sun = new DirectionalLight(0xfff3e0, 2.5);
  #level = 0;
  #frameMs = 0;
  #frames = 0;
  #last = 0;
  #aim = new Vector3(0, 1, 0);
  #shown = { yaw: Math.PI, pitch: 0.14, distance: 4.2, shift: 0 };

  /** @param {HTMLCanvasElement} canvas @param {{dusk: boolean, drawing?: import("./drawing.js").Drawing}} options */
  constructor(canvas, { dusk, drawing = "auto" }) {
    this.light = drawing === "light" || (drawing === "auto" && drawsInSoftware());
    this.#levels = this.light ? LIGHT : drawing === "full" ? LEVELS.slice(0, 1) : LEVELS;
    this.#renderer = new WebGLRenderer({ canvas, antialias: !this.light });
    this.#renderer.shadowMap.enabled = !this.light;
    this.#renderer.shadowMap.type = PCFShadowMap;
    this.scene.background = new Color(dusk ? 0x1d2450 : 0xbfe0f5);
    this.scene.fog = new Fog(dusk ? 0x8a6590 : 0xf6e6d6, 30, 110);
    this.scene.add(scenery(dusk, this.light), new HemisphereLight(dusk ? 0xc3b4ff : 0xffffff, dusk ? 0x7a5a78 : 0xe6cdb8, dusk ? 1.5 : 1.75));
    if (dusk) this.#sun.color.set(0xffc9ae);
    this.#sun.position.set(3.2, 8, 5);
    this.#sun.castShadow = this.#detail.shadows;
    this.#sun.shadow.mapSize.set(1024, 1024);
    Object.assign(this.#sun.shadow.camera, { left: -9, right: 9, top: 9, bottom: -9, near: 1, far: 22 });
    this.#sun.shadow.normalBias = 0.03;
    this.#sun.shadow.radius = 5;
    this.scene.add(this.#sun);
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#last = 0; });
    // The browser pauses this in a hidden tab by itself.
    this.#renderer.setAnimationLoop((now) => this.#frame(now));
  }

  /** @param {(dt: number, now: number) => void} listener called before each frame: seconds since the last, and milliseconds @returns {() => void} stops it */
  onFrame(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** @param {number} yaw @param {number} pitch radians */
  turn(yaw, pitch) {
    this.view.yaw += yaw;
    this.view.pitch = Math.max(-0.15, Math.min(1.25, this.view.pitch + pitch));
  }

  /** @param {number} factor */
  zoom(factor) {
    this.view.distance = Math.max(1.3, Math.min(9, this.view.distance * factor));
  }

  /** Be at the view at once. */
  cut() {
    this.#aim.copy(this.view.aim);
    Object.assign(this.#shown, { yaw: this.view.yaw, pitch: this.view.pitch, distance: this.view.distance, shift: this.view.shift });
  }

  /** Where a point of the world is on the canvas, CSS pixels; `null` behind the camera. @param {Vector3} point changed @returns {{x: number, y: number, distance: number} | null} */
  project(point) {
    const distance = point.distanceTo(this.camera.position);
    point.project(this.camera);
    if (point.z > 1) return null;
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    return { x: ((point.x + 1) / 2) * clientWidth, y: ((1 - point.y) / 2) * clientHeight, distance };
  }

  /** Give a model the detail of the present level. @param {import("three").Object3D} model */
  dress(model) {
    [this.#frameMs, this.#frames] = [-SETTLING_MS, 0];
    if (this.light) return simplify(model);
    const { outlines } = this.#detail;
    model.traverse((part) => {
      for (const material of [/** @type {any} */ (part).material].flat()) if (material?.isOutline) material.visible = outlines;
    });
  }

  get #detail() { return this.#levels[this.#level]; }

  #resize() {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    if (!clientWidth || !clientHeight) return;
    this.#renderer.setPixelRatio(Math.min(devicePixelRatio, this.#detail.pixels));
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.camera.aspect = clientWidth / clientHeight;
    this.camera.fov = this.camera.aspect < 0.8 ? 56 : 42;
    this.camera.updateProjectionMatrix();
  }

  /** @param {number} now */
  #frame(now) {
    const passed = this.#last ? now - this.#last : 16;
    if (this.#last && passed < this.#detail.frameMs) return;
    this.#last = now;
    const dt = Math.min(LONGEST_STEP_S, passed / 1000);
    for (const listener of this.#listeners) listener(dt, now);
    this.#follow(dt);
    this.#renderer.render(this.scene, this.camera);
    this.#judge(passed);
  }

  /** @param {number} dt */
  #follow(dt) {
    const { view } = this;
    const shown = this.#shown;
    this.#aim.lerp(view.aim, 1 - Math.exp(-12 * dt));
    shown.yaw = approach(shown.yaw, view.yaw, 18, dt);
    shown.pitch = approach(shown.pitch, view.pitch, 18, dt);
    shown.distance = approach(shown.distance, view.distance, 10, dt);
    shown.shift = approach(shown.shift, view.shift, 6, dt);
    const flat = Math.cos(shown.pitch) * shown.distance;
    // `yaw` is the way the camera looks; it stands on the other side of the aim.
    this.camera.position.set(
      this.#aim.x - Math.sin(shown.yaw) * flat,
      Math.max(0.15, this.#aim.y + Math.sin(shown.pitch) * shown.distance),
      this.#aim.z - Math.cos(shown.yaw) * flat,
    );
    this.camera.lookAt(this.#aim);
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    if (Math.abs(shown.shift) > 0.5) this.camera.setViewOffset(clientWidth, clientHeight, -shown.shift / 2, 0, clientWidth, clientHeight);
    else this.camera.clearViewOffset();
  }

  /** Go down a level after a slow while; going up again would make it flicker between two. @param {number} passed */
  #judge(passed) {
    if (this.#level === this.#levels.length - 1 || passed > 2_000) return;
    this.#frameMs += passed;
    if (this.#frameMs <= 0) return;
    this.#frames++;
    if (this.#frameMs < JUDGED_MS) return;
    const mean = this.#frameMs / this.#frames;
    [this.#frameMs, this.#frames] = [0, 0];
    if (mean < SLOW_MS + this.#detail.frameMs) return;
    this.#level++;
    this.#sun.castShadow = this.#detail.shadows;
    this.#resize();
    this.dress(this.scene);
  }
}
