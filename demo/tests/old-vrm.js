/**
 * A VRM 0 file out of one of our VRM 1.0 files: the same figure, seen from the other side.
 *
 * Where VRM 1.0 looks along +Z, VRM 0 looks along −Z, and it says everything else in another extension
 * (https://github.com/vrm-c/vrm-specification/tree/master/specification/0.0).
 */

const PRESETS = /** @type {Record<string, string>} */ ({
  happy: "joy", angry: "angry", sad: "sorrow", relaxed: "fun", neutral: "neutral", aa: "a", ih: "i", ou: "u", ee: "e", oh: "o",
  blink: "blink", blinkLeft: "blink_l", blinkRight: "blink_r", lookUp: "lookup", lookDown: "lookdown", lookLeft: "lookleft", lookRight: "lookright",
});

/** @param {Buffer} vrm a file of demo/avatars @returns {Buffer} */
export function asVrm0(vrm) {
  const length = vrm.readUInt32LE(12);
  const gltf = JSON.parse(vrm.toString("utf8", 20, 20 + length));
  const binary = Buffer.from(vrm.subarray(28 + length));
  turnAround(gltf, binary);
  const { meta, humanoid, expressions } = gltf.extensions.VRMC_vrm;
  const sight = { xRange: 45, yRange: 1 };
  for (const material of gltf.materials) material.extensions = {};
  gltf.extensionsUsed = ["VRM"];
  gltf.extensions = { VRM: {
    exporterVersion: "V-Chat tests", specVersion: "0.0",
    meta: { title: meta.name, version: "0", author: meta.authors[0], allowedUserName: "Everyone", violentUssageName: "Disallow", sexualUssageName: "Disallow",
      commercialUssageName: "Allow", licenseName: "Redistribution_Prohibited" },
    humanoid: { humanBones: Object.entries(humanoid.humanBones).map(([bone, { node }]) => ({ bone, node, useDefaultValues: true })) },
    firstPerson: { firstPersonBone: humanoid.humanBones.head.node, firstPersonBoneOffset: { x: 0, y: 0.1, z: 0 }, lookAtTypeName: "BlendShape",
      lookAtHorizontalInner: sight, lookAtHorizontalOuter: sight, lookAtVerticalDown: sight, lookAtVerticalUp: sight },
    blendShapeMaster: { blendShapeGroups: Object.entries(expressions.preset).map(([name, { morphTargetBinds = [] }]) => ({
      name, presetName: PRESETS[name], isBinary: false, materialValues: [],
      binds: morphTargetBinds.map((/** @type {any} */ bind) => ({ mesh: gltf.nodes[bind.node].mesh, index: bind.index, weight: 100 })),
    })) },
    secondaryAnimation: { boneGroups: [], colliderGroups: [] },
    materialProperties: gltf.materials.map((/** @type {any} */ { name }) => ({
      name, shader: "VRM/MToon", renderQueue: 2000, keywordMap: {}, tagMap: { RenderType: "Opaque" },
      floatProperties: { _ShadeToony: 0.88, _ShadeShift: -0.1, _CullMode: 0 },
      vectorProperties: { _Color: [1, 1, 1, 1], _ShadeColor: [1, 1, 1, 1] }, textureProperties: { _MainTex: 0, _ShadeTexture: 1 },
    })),
  } };
  return container(gltf, binary);
}

/** Half a turn of everything, but of no bone by itself. @param {any} gltf @param {Buffer} binary */
function turnAround(gltf, binary) {
  for (const node of gltf.nodes) if (node.translation) node.translation = [-node.translation[0], node.translation[1], -node.translation[2]];
  /** @param {number} index @param {number} size @param {number[]} places bytes into each item where a float is negated */
  const turn = (index, size, places) => {
    const accessor = gltf.accessors[index];
    const { sparse } = accessor;
    const { byteOffset } = gltf.bufferViews[(sparse ? sparse.values : accessor).bufferView];
    for (let item = 0; item < (sparse ?? accessor).count; item++) {
      for (const place of places) {
        const at = byteOffset + item * size + place;
        binary.writeFloatLE(-binary.readFloatLE(at), at);
      }
    }
    const { min, max } = accessor;
    if (min) [accessor.min, accessor.max] = [[-max[0], min[1], -max[2]], [-min[0], max[1], -min[2]]];
  };
  for (const { primitives } of gltf.meshes) {
    for (const { attributes, targets = [] } of primitives) {
      for (const index of [attributes.POSITION, attributes.NORMAL, ...targets.map((/** @type {any} */ target) => target.POSITION)]) turn(index, 12, [0, 8]);
    }
  }
  for (const { inverseBindMatrices } of gltf.skins) turn(inverseBindMatrices, 64, [48, 56]);
}

/** @param {unknown} gltf @param {Buffer} binary @returns {Buffer} GLB, glTF 2.0 section 4.4 */
function container(gltf, binary) {
  const text = Buffer.from(JSON.stringify(gltf));
  const json = Buffer.concat([text, Buffer.alloc(-text.length & 3, " ")]);
  const head = Buffer.alloc(20);
  head.write("glTF");
  head.writeUInt32LE(2, 4);
  head.writeUInt32LE(28 + json.length + binary.length, 8);
  head.writeUInt32LE(json.length, 12);
  head.write("JSON", 16);
  const next = Buffer.alloc(8);
  next.writeUInt32LE(binary.length);
  next.write("BIN\0", 4);
  return Buffer.concat([head, json, next, binary]);
}
