/**
 * A socket for networks that let no WebSocket through: one long answer down, requests up. It has a WebSocket's shape and the same frames,
 * so that nobody who uses it needs to know.
 *
 * The first frame sent is the body of the request that opens the stream. The others go out one request after another, those that wait together.
 */

import { LOST } from "./close-codes.js";
import { readEvents } from "./event-stream.js";

const POST_TIMEOUT_MS = 10_000;
/** Frames and characters of one request; the relay takes 64 KiB. */
const MOST_FRAMES = 64;
const MOST_CHARACTERS = 12_000;
/** A request that came to another instance than the stream is sent again so often. */
const MISSES = 12;
/** A stream that is over may still say why. */
const LAST_WORDS_MS = 2_000;
/** What a refusal of the stream itself means, in the words of a close. @type {Record<string, number>} */
const CODES = { "bad-origin": 4307, "too-large": 4306, "payload-too-large": 4306, "too-fast": 4005, unavailable: 1013, internal: 1011 };

const [CONNECTING, OPEN, CLOSED] = [0, 1, 3];

/**
 * @typedef {import("./types.js").Socket} Socket
 * @typedef {typeof globalThis.fetch} Fetch
 */

/** @implements {Socket} */
export class StreamSocket {
  /** A pose that waits behind a request comes late: not many are to wait. */
  static backedUpBytes = 1_500;
  readyState = CONNECTING;
  binaryType = "arraybuffer";
  /** @type {((event: any) => void) | null} */ onopen = null;
  /** @type {((event: any) => void) | null} */ onmessage = null;
  /** @type {((event: any) => void) | null} */ onclose = null;
  /** @type {((event: any) => void) | null} */ onerror = null;
  #fetch;
  #clock;
  #base;
  #abort = new AbortController();
  #key = "";
  #greeted = false;
  #posting = false;
  /** @type {string[]} */
  #waiting = [];

  /**
   * @param {string} url of a ticket
   * @param {{fetch: Fetch, clock: import("./types.js").Clock}} ports
   * @throws {TypeError} if `url` is no address
   */
  constructor(url, { fetch, clock }) {
    this.#fetch = fetch;
    this.#clock = clock;
    this.#base = new URL(url).href.replace(/^ws/, "http").replace(/\/$/, "");
    queueMicrotask(() => {
      if (this.readyState !== CONNECTING) return;
      this.readyState = OPEN; // There is nothing to wait for: the first frame opens the stream.
      this.onopen?.({});
    });
  }

  get bufferedAmount() {
    return this.#waiting.reduce((sum, line) => sum + line.length, 0);
  }

  /** @param {string | Uint8Array} data */
  send(data) {
    if (this.readyState !== OPEN) return;
    const line = typeof data === "string" ? data : `:${btoa(String.fromCharCode(...data))}`;
    if (this.#greeted) this.#waiting.push(line);
    else void this.#open(line);
    this.#greeted = true;
    void this.#post();
  }

  /** @param {number} [code] @param {string} [reason] */
  close(code = LOST, reason = "") {
    this.#end(code, reason);
  }

  /** @param {string} hello */
  async #open(hello) {
    try {
      const answer = await this.#request("/stream", hello, { "Content-Type": "application/json" }, this.#abort.signal);
      if (!answer.ok || !answer.body) return await this.#refused(answer);
      await readEvents(answer.body, (event) => this.#heard(event));
      this.#end(LOST, "The stream ended without a close.");
    } catch (error) {
      this.#end(LOST, String(error));
    }
  }

  /** @param {{name: string, data: string}} event */
  #heard({ name, data }) {
    if (this.readyState !== OPEN) return;
    if (name === "stream") {
      this.#key = JSON.parse(data).key;
      void this.#post();
    } else if (name === "tick") this.onmessage?.({ data: Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0)).buffer });
    else if (name === "close") {
      const { code, reason } = JSON.parse(data);
      this.#end(code, reason);
    } else if (name === "") this.onmessage?.({ data });
  }

  /** @param {Response} answer to the request that was to open the stream */
  async #refused(answer) {
    const { code, detail } = await answer.json().catch(() => ({})); // Whoever answers in the relay's place has other words.
    const retryMs = retryAfterMs(answer);
    const reason = String(detail ?? `The answer was ${answer.status}.`);
    // A bye carries what a close cannot.
    if (CODES[code]) this.onmessage?.({ data: JSON.stringify({ type: "bye", code: CODES[code], reason, retryMs }) });
    this.#end(CODES[code] ?? LOST, reason);
  }

  async #post() {
    if (this.#posting || !this.#key) return;
    this.#posting = true;
    try {
      while (this.#waiting.length > 0 && this.readyState === OPEN) await this.#deliver(this.#take());
    } catch (error) {
      this.#end(LOST, String(error));
    } finally {
      this.#posting = false;
    }
  }

  #take() {
    const lines = [];
    let size = 0;
    do {
      const line = /** @type {string} */ (this.#waiting.shift());
      size += line.length;
      lines.push(line);
    } while (this.#waiting[0] !== undefined && lines.length < MOST_FRAMES && size + this.#waiting[0].length <= MOST_CHARACTERS);
    return lines.join("\n");
  }

  /** @param {string} lines */
  async #deliver(lines) {
    for (let misses = 0; this.readyState === OPEN; ) {
      const status = await this.#postOnce(lines);
      if (status === 202) return;
      if (status === 409 && ++misses <= MISSES) continue;
      if (typeof status === "object") await this.#pause(status.retryMs);
      else if (status === 410) {
        await this.#pause(LAST_WORDS_MS);
        return this.#end(LOST, "The relay does not know the stream any more.");
      } else return this.#end(LOST, `A request was answered ${status}.`);
    }
  }

  /**
   * @param {string} lines
   * @returns {Promise<number | {retryMs: number}>} the status, or when to try again
   */
  async #postOnce(lines) {
    const late = new AbortController();
    const tooLate = new Error(`A request was not answered within ${POST_TIMEOUT_MS} ms.`);
    const timer = this.#clock.setTimeout(() => late.abort(tooLate), POST_TIMEOUT_MS);
    const ended = () => { this.#clock.clearTimeout(timer); late.abort(); };
    this.#abort.signal.addEventListener("abort", ended);
    try {
      const answer = await this.#request("/frames", lines, { Authorization: `Bearer ${this.#key}` }, late.signal);
      await answer.arrayBuffer(); // Read to its end, or the connection is not used again.
      const retryMs = retryAfterMs(answer);
      return (answer.status === 429 || answer.status === 503) && retryMs !== undefined ? { retryMs } : answer.status;
    } finally {
      this.#clock.clearTimeout(timer);
      this.#abort.signal.removeEventListener("abort", ended);
    }
  }

  /** @param {string} path @param {string} body @param {Record<string, string>} headers @param {AbortSignal} signal */
  #request(path, body, headers, signal) {
    const fetch = this.#fetch; // Called without a `this`: browsers refuse any other than the window.
    return fetch(this.#base + path, { method: "POST", body, headers, signal, cache: "no-store", credentials: "omit" });
  }

  /** @param {number} ms */
  #pause(ms) {
    return new Promise((resolve) => {
      const timer = this.#clock.setTimeout(() => resolve(null), ms);
      this.#abort.signal.addEventListener("abort", () => { this.#clock.clearTimeout(timer); resolve(null); }, { once: true });
    });
  }

  /** @param {number} code @param {string} reason */
  #end(code, reason) {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#waiting = [];
    this.#abort.abort();
    queueMicrotask(() => this.onclose?.({ code, reason }));
  }
}

/** @param {Response} answer @returns {number | undefined} */
function retryAfterMs(answer) {
  const seconds = Number(answer.headers.get("Retry-After") ?? NaN);
  return Number.isNaN(seconds) ? undefined : seconds * 1000;
}

/** @param {{fetch: Fetch, clock: import("./types.js").Clock}} ports @returns {import("./types.js").SocketClass} */
export function streamSocketClass(ports) {
  return class extends StreamSocket {
    /** @param {string} url */
    constructor(url) { super(url, ports); }
  };
}
