/** Models: read from the bytes of a file, and given back. */

import { GLTFLoader } from "three/addons/loaders/GLTFLoader.js";
import { VRMLoaderPlugin, VRMUtils } from "@pixiv/three-vrm";

/** @typedef {import("@pixiv/three-vrm").VRM} VRM */

/** @param {ArrayBuffer} data glTF @returns {Promise<VRM | undefined>} nothing if the glTF is no VRM */
export async function read(data) {
  const loader = new GLTFLoader();
  loader.register((parser) => new VRMLoaderPlugin(parser));
  const vrm = /** @type {VRM | undefined} */ ((await loader.parseAsync(data, "")).userData.vrm);
  if (!vrm) return;
  VRMUtils.rotateVRM0(vrm); // VRM 0 looks the other way
  vrm.scene.traverse((part) => {
    part.frustumCulled = false; // bounds are the T-pose's
    part.castShadow = true;
  });
  return vrm;
}

/** @param {VRM} vrm */
export function dispose(vrm) {
  VRMUtils.deepDispose(vrm.scene);
}
