/** One avatar on the stage: a VRM that takes on whatever pose it is given. */

import { Group, Vector3 } from "three";
import { Mouth } from "./mouth.js";
import { dispose } from "./vrm.js";

/** @typedef {import("./vrm.js").VRM} VRM */
/** @typedef {import("vchat-client").PoseBuffer} PoseBuffer */

/** Further away than this, hair need not swing. */
const FAR_M = 14;
/** Ears and hats count as height up to here, metres above the head bone. */
const TALLEST_HEAD_M = 0.75;
const TAG_GAP_M = 0.05;

export class Avatar {
  place = new Group();
  /** @type {VRM | null} */
  vrm = null;
  #stage;
  #loading = 0;
  #head = new Vector3();
  #tagHeight = 0.4;
  #mouth = new Mouth();

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.#stage = stage;
    this.place.visible = false; // until a pose says where it stands
    stage.scene.add(this.place);
  }

  /** Take on another body once it has loaded; the newest wish wins. @param {Promise<VRM>} loading */
  async wear(loading) {
    const mine = ++this.#loading;
    const vrm = await loading;
    if (mine !== this.#loading) return dispose(vrm);
    this.#undress();
    this.vrm = vrm;
    this.#stage.dress(vrm.scene);
    this.place.add(vrm.scene);
    this.#tagHeight = headHeight(vrm) + TAG_GAP_M;
  }

  /** @param {any} pose a Pose of the SDK; what it does not say stays */
  take(pose) {
    if (pose.root) {
      this.place.position.fromArray(pose.root.position);
      this.place.quaternion.fromArray(pose.root.rotation);
      this.place.visible = true;
    }
    const { vrm } = this;
    if (!vrm) return;
    const flip = vrm.meta.metaVersion === "0" ? -1 : 1; // normalized bones of VRM 0 look along −Z
    for (const name in pose.bones) {
      const [x, y, z, w] = pose.bones[name];
      vrm.humanoid.getNormalizedBoneNode(/** @type {any} */ (name))?.quaternion.set(flip * x, y, flip * z, w);
    }
    for (const name in pose.expressions) vrm.expressionManager?.setValue(name, pose.expressions[name]);
    if (pose.gaze && vrm.lookAt) [vrm.lookAt.yaw, vrm.lookAt.pitch] = pose.gaze;
  }

  /** @param {number} dt seconds @param {Vector3} eye the camera @param {number} [voice] how loud it speaks, 0 to 1 */
  update(dt, eye, voice = 0) {
    const { vrm } = this;
    const open = this.#mouth.update(dt, voice);
    if (!vrm || !this.place.visible) return;
    vrm.expressionManager?.setValue("aa", open);
    if (eye.distanceTo(this.place.position) < FAR_M) {
      vrm.update(dt);
    } else {
      vrm.humanoid.update();
      vrm.expressionManager?.update();
    }
  }

  /** Above the head, in the world; the same vector every time. */
  get crown() {
    const bone = this.vrm?.humanoid.getNormalizedBoneNode("head");
    if (bone) bone.getWorldPosition(this.#head);
    else this.#head.copy(this.place.position).setY(this.place.position.y + 1.1);
    this.#head.y += this.#tagHeight;
    return this.#head;
  }

  dispose() {
    this.#loading++;
    this.#undress();
    this.#stage.scene.remove(this.place);
  }

  #undress() {
    if (!this.vrm) return;
    this.place.remove(this.vrm.scene);
    dispose(this.vrm);
    this.vrm = null;
  }
}

/** How far the model reaches above its head bone, metres. @param {VRM} vrm */
function headHeight(vrm) {
  let top = 0;
  vrm.scene.traverse((part) => {
    const { geometry } = /** @type {import("three").Mesh} */ (part);
    if (!geometry) return;
    if (!geometry.boundingBox) geometry.computeBoundingBox();
    top = Math.max(top, geometry.boundingBox?.max.y ?? 0);
  });
  const head = vrm.humanoid.normalizedRestPose.head ? vrm.humanoid.getNormalizedBoneNode("head") : null;
  const base = head ? head.getWorldPosition(new Vector3()).y - (vrm.scene.parent?.position.y ?? 0) : top;
  return Math.max(0.15, Math.min(TALLEST_HEAD_M, top - base));
}
