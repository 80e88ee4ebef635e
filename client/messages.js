/** Messages a person or the application sends: made here, refused here if the relay would close the connection over them. */

import { RoomError } from "./room-error.js";

export const TEXT_LENGTH = 2000;
export const NAME_LENGTH = 64;
export const DATA_BYTES = 4096;

/** @typedef {import("./outbox.js").Message} Message */

/**
 * @param {string} text
 * @param {number} [most] code points
 * @returns {Message}
 * @throws {RoomError} bad-text
 */
export function chatMessage(text, most = TEXT_LENGTH) {
  const length = [...text].length;
  if (length < 1 || length > most) throw new RoomError("bad-text", `A message has 1 to ${most} characters, this one has ${length}.`);
  return { type: "chat", id: messageId(), text };
}

/**
 * @param {string} name 1 to 64 code points
 * @param {unknown} data at most 4 KiB as JSON
 * @returns {Message}
 * @throws {RoomError} bad-signal
 */
export function signalMessage(name, data) {
  const length = [...name].length;
  if (length < 1 || length > NAME_LENGTH) {
    throw new RoomError("bad-signal", `A signal's name has 1 to ${NAME_LENGTH} characters, this one has ${length}.`);
  }
  const json = JSON.stringify(data);
  if (json === undefined) throw new RoomError("bad-signal", "A signal's data must be JSON; null is.");
  const bytes = new TextEncoder().encode(json).length;
  if (bytes > DATA_BYTES) throw new RoomError("bad-signal", `A signal's data is at most ${DATA_BYTES} bytes of JSON, this is ${bytes}.`);
  return { type: "signal", id: messageId(), name, data };
}

function messageId() {
  // Not crypto.randomUUID(): a page on plain http in a local network does not have it.
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
