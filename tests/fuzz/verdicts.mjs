/**
 * Says what the JavaScript decoder makes of bodies: u16 seq, u16 length, body on standard input, u16 length and verdict on output.
 * A verdict is the text of the PoseError, or the numbers of the pose as doubles, as tests/fuzz/poses.py spells them.
 */
import { BONES, EXPRESSIONS, PoseDecoder, PoseError } from "../../client/pose.js";

const decoder = new PoseDecoder();
let rest = Buffer.alloc(0);

process.stdin.on("data", (data) => {
  rest = Buffer.concat([rest, data]);
  const answers = [];
  while (rest.length >= 4) {
    const end = 4 + rest.readUInt16LE(2);
    if (rest.length < end) break;
    const said = verdict(rest.readUInt16LE(0), new Uint8Array(rest.subarray(4, end)));
    const size = Buffer.alloc(2);
    size.writeUInt16LE(said.length);
    answers.push(size, said);
    rest = rest.subarray(end);
  }
  process.stdout.write(Buffer.concat(answers));
});

function verdict(seq, body) {
  let pose;
  try {
    pose = decoder.decode(body, seq);
  } catch (error) {
    if (!(error instanceof PoseError)) throw error;
    return Buffer.from(error.message);
  }
  const numbers = [Number(decoder.needsKeyframe)];
  if (pose.root) numbers.push(-1, ...pose.root.position, ...pose.root.rotation);
  if (pose.gaze) numbers.push(-2, ...pose.gaze);
  BONES.forEach((name, i) => pose.bones[name] && numbers.push(i, ...pose.bones[name]));
  EXPRESSIONS.forEach((name, i) => name in pose.expressions && numbers.push(i, pose.expressions[name]));
  // + 0 makes -0 into 0, which are the same number.
  return Buffer.from(Float64Array.from(numbers, (n) => n + 0).buffer);
}
