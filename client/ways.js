/**
 * Which way to a relay: a WebSocket, or the fallback where networks let none through.
 *
 * Sockets come first. When several in a row ended before any welcome, and without a word, both ways take turns: should the fallback get a
 * welcome, it was not the relay that was missing, and the choice is kept for the session of the page. Now and then a socket is tried again.
 */

import { streamSocketClass } from "./stream-socket.js";

const FAILURES = 2;
/** Where a socket has worked before, it is rather the relay that is missing. */
const FAILURES_AFTER_SUCCESS = 6;
const RETRY_MS = 60_000;
const RETRY_CAP_MS = 30 * 60_000;

/** @typedef {"socket" | "fallback"} Way */

export class Ways {
  #classes;
  #keep;
  #kept;
  #failures = 0;
  #proven = false;
  /** @type {Way} */
  #last = "socket";
  #retryMs = RETRY_MS;

  /**
   * @param {{WebSocket: import("./types.js").SocketClass, fetch: typeof globalThis.fetch | null, clock: import("./types.js").Clock,
   *   kept: boolean, keep: (fallback: boolean) => void}} ports `fetch` of `null`: no fallback. `kept` and `keep`: what was
   *   found out earlier in this session
   */
  constructor({ WebSocket, fetch, clock, kept, keep }) {
    this.#classes = { socket: WebSocket, fallback: fetch && streamSocketClass({ fetch, clock }) };
    this.#kept = kept && fetch !== null;
    this.#keep = keep;
  }

  /** @returns {Way} to try now */
  next() {
    this.#last = this.#choice();
    return this.#last;
  }

  /** @param {Way} way @returns {import("./types.js").SocketClass} */
  socketClass(way) {
    return this.#classes[way] ?? this.#classes.socket;
  }

  /** There was a welcome. @param {Way} way */
  worked(way) {
    this.#failures = 0;
    if (way === "socket") [this.#proven, this.#retryMs] = [true, RETRY_MS];
    if (this.#kept !== (way === "fallback")) this.#keep(way === "fallback");
    this.#kept = way === "fallback";
  }

  /** It ended before a welcome, and nobody said why. @param {Way} way */
  failed(way) {
    this.#failures += 1;
    if (way === "socket") return;
    // Perhaps all the network is gone. If it is not, taking turns will find out again.
    this.#kept = false;
    this.#failures = Math.max(this.#failures, FAILURES_AFTER_SUCCESS);
  }

  /** @returns {number} when to see whether a socket gets through, after the fallback did: ms, longer each time */
  retryMs() {
    const wait = this.#retryMs;
    this.#retryMs = Math.min(RETRY_CAP_MS, 2 * wait);
    return wait;
  }

  /** @returns {Way} */
  #choice() {
    if (!this.#classes.fallback) return "socket";
    if (this.#kept) return "fallback";
    const doubtful = this.#failures >= (this.#proven ? FAILURES_AFTER_SUCCESS : FAILURES);
    return doubtful && this.#last === "socket" ? "fallback" : "socket";
  }
}
