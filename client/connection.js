/**
 * One socket's life: hello, welcome, frames, the end.
 *
 * It ends exactly once, by whichever comes first: the relay's `bye` (its code counts, proxies eat close codes), the close event,
 * silence, or `close()`. Nothing is reported after the end.
 */

import { CLIENT_RETURNS, LOST } from "./close-codes.js";

const PROTOCOL = "vchat.v1";
const WELCOME_TIMEOUT_MS = 10_000;
const GOODBYE_TIMEOUT_MS = 2_000;
/** More unsent bytes than this and a pose would only come late. */
const BACKED_UP_BYTES = 64 * 1024;

/**
 * @typedef {{code: number, detail: string, retryMs?: number}} Ending
 * @typedef {{
 *   opened(): object,
 *   welcomed(welcome: import("./types.js").Welcome): void,
 *   frame(frame: {type: string, [field: string]: any}): void,
 *   binary(buffer: ArrayBuffer): void,
 *   nonsense(detail: string): void,
 *   ended(ending: Ending): void,
 * }} ConnectionEvents  `opened` answers with the hello to send
 */

export class Connection {
  #clock;
  #events;
  #socket;
  #backedUpBytes;
  #lastHeard;
  #silenceMs = WELCOME_TIMEOUT_MS;
  #welcomed = false;
  /** @type {Record<string, any>[]} what a long welcome lists, before it comes itself */
  #parts = [];
  #leaving = false;
  #over = false;
  /** @type {unknown} */
  #timer = null;

  /**
   * @param {{url: string, WebSocket: import("./types.js").SocketClass, clock: import("./types.js").Clock, events: ConnectionEvents}} options
   * @throws {SyntaxError} if `url` is no WebSocket address
   */
  constructor({ url, WebSocket, clock, events }) {
    this.#clock = clock;
    this.#events = events;
    this.#lastHeard = clock.now();
    this.#backedUpBytes = WebSocket.backedUpBytes ?? BACKED_UP_BYTES;
    const socket = new WebSocket(url, [PROTOCOL]);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => { if (!this.#over) this.send(events.opened()); };
    socket.onmessage = (event) => { if (!this.#over) this.#heard(event.data); };
    socket.onclose = (event) => this.#end({ code: event.code || LOST, detail: event.reason || "" });
    socket.onerror = () => {}; // A close event always follows, and says more.
    this.#arm();
  }

  /** Whether sending more now would only queue it. */
  get backedUp() {
    return this.#socket.bufferedAmount > this.#backedUpBytes;
  }

  /** @param {object} frame */
  send(frame) {
    this.#transmit(JSON.stringify(frame));
  }

  /** @param {Uint8Array} frame */
  sendBytes(frame) {
    this.#transmit(frame);
  }

  /** Is it still alive? Timers of sleeping tabs come late, so this is also called when the tab wakes. */
  check() {
    if (this.#leaving) return;
    const silence = this.#clock.now() - this.#lastHeard;
    if (silence < this.#silenceMs) return this.#arm();
    this.close(this.#welcomed ? `Nothing came for ${silence} ms.` : `No welcome within ${WELCOME_TIMEOUT_MS} ms.`);
  }

  /** Drop the socket, keeping the seat. @param {string} why */
  close(why) {
    this.#end({ code: LOST, detail: why });
  }

  /** Say goodbye: the seat is free at once. Ends with 1000 even if the relay does not answer. */
  leave() {
    if (!this.#welcomed) return this.#end({ code: 1000, detail: "" });
    this.#leaving = true;
    this.send({ type: "leave" });
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.#end({ code: 1000, detail: "" }), GOODBYE_TIMEOUT_MS);
  }

  /** @param {string | Uint8Array} data */
  #transmit(data) {
    // A socket that is closing swallows what is sent: the outbox sends it again on the next one.
    if (!this.#over && this.#socket.readyState === 1) this.#socket.send(data);
  }

  /** @param {unknown} data */
  #heard(data) {
    this.#lastHeard = this.#clock.now();
    if (data instanceof ArrayBuffer) {
      if (this.#welcomed) this.#events.binary(data);
      return;
    }
    const frame = parsed(data);
    if (!frame) return this.#events.nonsense("A frame from the relay was not a JSON object with a type.");
    if (frame.type === "bye") return this.#end({ code: closeCode(frame.code), detail: text(frame.reason), retryMs: delay(frame.retryMs) });
    if (frame.type === "ping") return this.send({ type: "pong" });
    if (this.#welcomed) return this.#events.frame(frame);
    if (frame.type === "part") return void this.#parts.push(frame);
    if (frame.type !== "welcome") return; // Nothing else counts before it; a hole would be noticed later.
    if (this.#parts.length) for (const key of ["members", "history"]) frame[key] = [...this.#parts, frame].flatMap((part) => part[key]);
    if (!isWelcome(frame)) return this.close("The relay's welcome lacks something.");
    this.#parts = [];
    this.#welcomed = true;
    this.#silenceMs = 2 * frame.pingMs + 10_000;
    this.#events.welcomed(frame);
  }

  #arm() {
    if (this.#over || this.#leaving) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => this.check(), this.#lastHeard + this.#silenceMs - this.#clock.now());
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#over) return;
    this.#over = true;
    this.#clock.clearTimeout(this.#timer);
    if (this.#leaving) ending = { code: 1000, detail: "" }; // However it closes, the person wanted to go.
    // After the relay's own close this does nothing; otherwise only a deliberate leave may give up the seat.
    this.#socket.close(ending.code === 1000 ? 1000 : CLIENT_RETURNS);
    this.#events.ended(ending);
  }
}

/** @param {unknown} data @returns {{type: string, [field: string]: any} | null} */
function parsed(data) {
  if (typeof data !== "string") return null;
  try {
    const frame = JSON.parse(data);
    return typeof frame?.type === "string" ? frame : null;
  } catch {
    return null; // Reported by the caller, as for every other frame that makes no sense.
  }
}

/** @param {{[field: string]: any}} frame @returns {frame is import("./types.js").Welcome} */
function isWelcome(frame) {
  return Number.isInteger(frame.seat) && Array.isArray(frame.members) && Array.isArray(frame.history)
    && typeof frame.epoch === "string" && Number.isSafeInteger(frame.offset) && Number.isSafeInteger(frame.head)
    && typeof frame.resume === "string" && frame.tickHz > 0 && frame.pingMs > 0 && Number.isFinite(frame.serverTime);
}

/** @param {unknown} value */
function closeCode(value) {
  return typeof value === "number" && Number.isInteger(value) ? value : LOST;
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : "";
}

/** @param {unknown} value */
function delay(value) {
  return typeof value === "number" && value >= 0 ? value : undefined;
}
