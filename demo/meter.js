/** Counts what goes over the room's socket. */

const WINDOW_MS = 1_000;

export class Meter {
  received = 0;
  sent = 0;
  ticks = 0;
  #last = { at: performance.now(), received: 0, sent: 0, ticks: 0 };

  /** A WebSocket that counts into this meter, for `RoomClient`. */
  get socketClass() {
    const meter = this;
    return class extends WebSocket {
      /** @param {string} url @param {string | string[]} [protocols] */
      constructor(url, protocols) {
        super(url, protocols);
        this.addEventListener("message", ({ data }) => { meter.received += size(data); });
      }

      /** @param {any} data */
      send(data) {
        meter.sent += size(data);
        super.send(data);
      }
    };
  }

  /** Per second since the last call that answered; `null` if that is not a second ago. */
  read(now = performance.now()) {
    const seconds = (now - this.#last.at) / 1000;
    if (seconds * 1000 < WINDOW_MS) return null;
    const rate = (/** @type {"received" | "sent" | "ticks"} */ name) => (this[name] - this.#last[name]) / seconds;
    const rates = { down: rate("received"), up: rate("sent"), hz: rate("ticks") };
    this.#last = { at: now, received: this.received, sent: this.sent, ticks: this.ticks };
    return rates;
  }
}

const encoder = new TextEncoder();

/** @param {unknown} data @returns {number} bytes, without the frame's own few */
function size(data) {
  if (typeof data === "string") return encoder.encode(data).length;
  return /** @type {ArrayBuffer} */ (data).byteLength ?? 0;
}

/** @param {number} bytes */
export function bytesText(bytes) {
  return bytes < 1000 ? `${Math.round(bytes)} B` : `${(bytes / 1000).toFixed(1)} kB`;
}
