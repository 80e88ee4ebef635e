/** Where one's own avatar goes: wishes become steps, inside the room and around what stands in it. */

import { approach, wrapped } from "./rotation.js";

const WALK = 1.5;
const RUN = 3.3;
const BODY = 0.28;

/** @typedef {{x: number, z: number, radius: number}} Obstacle */

export class Walker {
  /** @param {number} radius of the room @param {Obstacle[]} obstacles */
  constructor(radius, obstacles) {
    this.radius = radius;
    this.obstacles = obstacles;
    this.x = 0;
    this.z = 0;
    this.yaw = 0;
    this.speed = 0;
  }

  /**
   * @param {number} dt seconds
   * @param {{x: number, y: number, run: boolean}} wish right and forward in [−1, 1], seen from the camera
   * @param {number} cameraYaw the direction the camera looks in, radians
   */
  step(dt, wish, cameraYaw) {
    const size = Math.min(1, Math.hypot(wish.x, wish.y));
    const wanted = size < 0.08 ? 0 : size * (wish.run ? RUN : WALK);
    this.speed = approach(this.speed, wanted, 9, dt);
    if (this.speed < 0.01) this.speed = 0;
    if (wanted > 0) {
      const heading = cameraYaw + Math.atan2(-wish.x, wish.y);
      this.yaw = wrapped(this.yaw + wrapped(heading - this.yaw) * (1 - Math.exp(-11 * dt)));
    }
    this.x += Math.sin(this.yaw) * this.speed * dt;
    this.z += Math.cos(this.yaw) * this.speed * dt;
    this.#keepInside();
  }

  #keepInside() {
    for (const { x, z, radius } of this.obstacles) {
      const [dx, dz, near] = [this.x - x, this.z - z, radius + BODY];
      const distance = Math.hypot(dx, dz) || 1e-6;
      if (distance < near) {
        this.x = x + (dx / distance) * near;
        this.z = z + (dz / distance) * near;
      }
    }
    const far = Math.hypot(this.x, this.z);
    const most = this.radius - BODY;
    if (far > most) {
      this.x *= most / far;
      this.z *= most / far;
    }
  }
}
