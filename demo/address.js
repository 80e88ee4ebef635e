/** A room's address on this page: `#/rooms/{id}`, with an invitation to a private one behind it. */

/** @typedef {{roomId: string, invite?: string}} Address */

/** @param {string} hash of a location @returns {Address | null} `null` is the lobby */
export function readAddress(hash) {
  const found = /^#\/rooms\/([^/?]+)(?:\?invite=([^&]+))?$/.exec(hash);
  if (!found) return null;
  try {
    const [roomId, invite] = [found[1], found[2]].map((part) => part && decodeURIComponent(part));
    return { roomId, ...(invite && { invite }) };
  } catch {
    return null; // a broken escape
  }
}

/** @param {Address} address @returns {string} for `location.hash` */
export function writeAddress({ roomId, invite }) {
  return `#/rooms/${encodeURIComponent(roomId)}${invite ? `?invite=${encodeURIComponent(invite)}` : ""}`;
}
