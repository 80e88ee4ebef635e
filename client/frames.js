/**
 * Binary frames, little-endian.
 *
 * pose (to the relay):  u8 kind=1, u8 flags=0, u16 seq, body
 * tick (from it):       u8 kind=2, u8 flags, u16 tick, u32 serverTime mod 2^32, then per avatar u16 seat, u16 seq, u16 length, body
 */

export const MAX_BODY_BYTES = 512;
const POSE = 1;
const TICK = 2;
const POSE_HEADER = 4;
const TICK_HEADER = 8;
const AVATAR_HEADER = 6;

/**
 * @param {number} seq taken mod 2^16
 * @param {Uint8Array} body 1–512 bytes
 * @returns {Uint8Array}
 * @throws {RangeError} for a body the relay would close the connection for
 */
export function poseFrame(seq, body) {
  if (body.length < 1 || body.length > MAX_BODY_BYTES) {
    throw new RangeError(`A pose body has 1 to ${MAX_BODY_BYTES} bytes, this one has ${body.length}.`);
  }
  const frame = new Uint8Array(POSE_HEADER + body.length);
  frame[0] = POSE;
  frame[2] = seq & 0xff;
  frame[3] = (seq >> 8) & 0xff;
  frame.set(body, POSE_HEADER);
  return frame;
}

/**
 * @typedef {{seat: number, seq: number, body: Uint8Array}} TickAvatar `body` is a view into the frame
 * @typedef {{everyone: boolean, tick: number, serverTime32: number, avatars: TickAvatar[]}} Tick
 *   `everyone`: the first frame of a newcomer, with everyone's last pose. A seat may come twice: keyframe, then latest pose.
 */

/**
 * @param {ArrayBuffer} buffer
 * @returns {Tick}
 * @throws {RangeError} if it is not a whole tick frame
 */
export function readTick(buffer) {
  const view = new DataView(buffer);
  if (view.byteLength < TICK_HEADER || view.getUint8(0) !== TICK) {
    throw new RangeError("Expected a tick frame.");
  }
  /** @type {TickAvatar[]} */
  const avatars = [];
  for (let at = TICK_HEADER; at < view.byteLength; ) {
    if (at + AVATAR_HEADER > view.byteLength) throw new RangeError("A tick ends inside an avatar's header.");
    const length = view.getUint16(at + 4, true);
    const start = at + AVATAR_HEADER;
    if (length < 1 || start + length > view.byteLength) throw new RangeError("A tick ends inside an avatar's body.");
    avatars.push({
      seat: view.getUint16(at, true),
      seq: view.getUint16(at + 2, true),
      body: new Uint8Array(buffer, start, length),
    });
    at = start + length;
  }
  return {
    everyone: (view.getUint8(1) & 1) === 1,
    tick: view.getUint16(2, true),
    serverTime32: view.getUint32(4, true),
    avatars,
  };
}

/**
 * Serial-number comparison of 16-bit sequence numbers (RFC 1982): the shorter way round decides.
 * @param {number} a
 * @param {number} b
 * @returns {boolean} whether `a` comes after `b`
 */
export function isNewer(a, b) {
  const ahead = (a - b) & 0xffff;
  return ahead > 0 && ahead < 0x8000;
}

/**
 * The full time whose lower 32 bits are `low`, nearest to `near` (ms since the epoch).
 * @param {number} low
 * @param {number} near
 */
export function unwrapTime(low, near) {
  return near + (((low - near) % 2 ** 32) | 0);
}
