/** How much is drawn: less where the machine is slow, little where it has no graphics processor. */

import { Float32BufferAttribute, InstancedMesh, Matrix4, Mesh, MeshBasicMaterial } from "three";
import { mergeGeometries, mergeVertices } from "three/addons/utils/BufferGeometryUtils.js";

/** @typedef {{pixels: number, shadows: boolean, outlines: boolean, frameMs: number}} Detail `pixels` per CSS pixel at most; `frameMs`: what is sooner than this is not drawn */

/** From good to fast. @type {Detail[]} */
export const LEVELS = [
  { pixels: 2, shadows: true, outlines: true, frameMs: 0 },
  { pixels: 1.25, shadows: true, outlines: true, frameMs: 0 },
  { pixels: 1, shadows: true, outlines: false, frameMs: 0 },
  { pixels: 0.75, shadows: false, outlines: false, frameMs: 0 },
  { pixels: 0.45, shadows: false, outlines: false, frameMs: 0 },
];
/** Without shadow and line, at most every second frame of 60 a second, in the end every fourth: others need the processor too. @type {Detail[]} */
export const LIGHT = [[0.8, 47], [0.45, 47], [0.45, 80]].map(([pixels, frameMs]) => ({ pixels, frameMs, shadows: false, outlines: false }));

/** Whether pixels are made by the main processor: each of them costs then. */
export function drawsInSoftware() {
  const gl = document.createElement("canvas").getContext("webgl2", { failIfMajorPerformanceCaveat: true });
  if (!gl) return true;
  // Chromium does not always call that a caveat, but it names who draws.
  const names = gl.getExtension("WEBGL_debug_renderer_info");
  const name = String(gl.getParameter(names ? names.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(name);
}

/** All that stands still as one shape with its colours, no corner twice: calls cost most, then corners. @param {import("three").Object3D} scenery @returns {Mesh} */
export function merged(scenery) {
  scenery.updateMatrixWorld(true);
  /** @type {import("three").BufferGeometry[]} */
  const shapes = [];
  scenery.traverse((part) => {
    const mesh = /** @type {Mesh} */ (part);
    if (!mesh.isMesh) return;
    const { color } = /** @type {MeshBasicMaterial} */ (mesh.material);
    for (const place of places(mesh)) {
      const bare = mesh.geometry.clone();
      for (const name of ["normal", "uv"]) bare.deleteAttribute(name);
      const shape = mergeVertices(bare);
      const { count } = shape.getAttribute("position");
      shape.setAttribute("color", new Float32BufferAttribute(Array.from({ length: count }, () => color.toArray()).flat(), 3));
      shapes.push(shape.applyMatrix4(place));
    }
  });
  return new Mesh(mergeGeometries(shapes), new MeshBasicMaterial({ vertexColors: true }));
}

/** Where a mesh stands in the world, each of its instances. @param {Mesh} mesh @returns {Matrix4[]} */
function places(mesh) {
  if (!(mesh instanceof InstancedMesh)) return [mesh.matrixWorld];
  return Array.from({ length: mesh.count }, (_, i) => {
    const place = new Matrix4();
    mesh.getMatrixAt(i, place);
    return place.premultiply(mesh.matrixWorld);
  });
}

/** Colours without light and lines. @param {import("three").Object3D} model */
export function simplify(model) {
  model.traverse((part) => {
    const mesh = /** @type {import("three").Mesh} */ (part);
    if (!mesh.isMesh) return;
    const { map, color, side, isMeshBasicMaterial } = /** @type {any} */ ([mesh.material].flat()[0]);
    if (!isMeshBasicMaterial) mesh.material = new MeshBasicMaterial({ map, color, side });
  });
}
