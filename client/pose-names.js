/** The words of a pose, in wire order: VRM 1.0 humanoid bones and expression presets. */

/** @param {string[]} bones @returns {string[]} */
function leftAndRight(...bones) {
  return bones.flatMap((bone) => [`left${bone}`, `right${bone}`]);
}

/** Three sections (upper body, legs, eyes and fingers); limbs take turns, because a bone's code learns from the one before. */
export const BONES = Object.freeze([
  ...["hips", "spine", "chest", "upperChest", "neck", "head"],
  ...leftAndRight("Shoulder", "UpperArm", "LowerArm", "Hand"),
  ...leftAndRight("UpperLeg", "LowerLeg", "Foot", "Toes"),
  ...["leftEye", "rightEye", "jaw"],
  ...leftAndRight("ThumbMetacarpal", "ThumbProximal", "ThumbDistal"),
  ...leftAndRight("IndexProximal", "IndexIntermediate", "IndexDistal"),
  ...leftAndRight("MiddleProximal", "MiddleIntermediate", "MiddleDistal"),
  ...leftAndRight("RingProximal", "RingIntermediate", "RingDistal"),
  ...leftAndRight("LittleProximal", "LittleIntermediate", "LittleDistal"),
]);

export const EXPRESSIONS = Object.freeze([
  ...["blink", "aa", "ih", "ou", "ee", "oh"],
  ...["happy", "angry", "sad", "relaxed", "surprised", "blinkLeft", "blinkRight"],
  ...["lookUp", "lookDown", "lookLeft", "lookRight", "neutral"],
]);
