/** Whether anybody attends to the page: out of sight or untouched for long it grows tired, and any touch ends that. */

const TOUCHES = ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"];
/** When nothing came of being tired, try again after this long. */
const AGAIN_MS = 10_000;

/** @returns {boolean} whether nobody can see the page */
export function pageHidden() {
  return globalThis.document?.visibilityState === "hidden";
}

export class Attention {
  #target;
  #hidden;
  #clock;
  #tired;
  #attended;
  /** @type {{hiddenMs: number, idleMs: number} | null} */
  #limits = null;
  #touchedAt;
  /** @type {number | null} */
  #hiddenSince;
  /** @type {unknown} */
  #timer = null;

  /**
   * @param {{target: EventTarget | null, hidden: () => boolean, clock: import("./types.js").Clock,
   *   tired: () => void, attended: () => void}} ports `tired` is called again until `rest`; `attended` whenever somebody looks or touches
   */
  constructor({ target, hidden, clock, tired, attended }) {
    this.#target = target;
    this.#hidden = hidden;
    this.#clock = clock;
    this.#tired = tired;
    this.#attended = attended;
    this.#touchedAt = clock.now();
    this.#hiddenSince = hidden() ? this.#touchedAt : null;
  }

  /** Listen to the page, until `close`. */
  open() {
    this.touch();
    this.#seen();
    this.#target?.addEventListener("visibilitychange", this.#seen, true);
    for (const touch of TOUCHES) this.#target?.addEventListener(touch, this.#touched, { capture: true, passive: true });
  }

  close() {
    this.rest();
    this.#target?.removeEventListener("visibilitychange", this.#seen, true);
    for (const touch of TOUCHES) this.#target?.removeEventListener(touch, this.#touched, true);
  }

  /** Grow tired by these limits from now on. @param {unknown} limits `doze` of a welcome; without, or with nonsense, never */
  watch(limits) {
    this.rest();
    const { hiddenS, idleS } = /** @type {any} */ (limits ?? {});
    if (!(hiddenS > 0) || !(idleS > 0)) return;
    this.#limits = { hiddenMs: hiddenS * 1000, idleMs: idleS * 1000 };
    this.#arm();
  }

  /** Do not grow tired for now. */
  rest() {
    this.#limits = null;
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Somebody did something. */
  touch() {
    this.#touchedAt = this.#clock.now();
  }

  #touched = () => {
    this.touch();
    this.#attended();
  };

  #seen = () => {
    this.#hiddenSince = this.#hidden() ? (this.#hiddenSince ?? this.#clock.now()) : null;
    if (this.#hiddenSince === null) this.#touched();
    this.#arm();
  };

  /** @param {number} [leastMs] */
  #arm(leastMs = 0) {
    if (!this.#limits) return;
    this.#clock.clearTimeout(this.#timer);
    const delayMs = Math.max(leastMs, this.#dueAt(this.#limits) - this.#clock.now());
    this.#timer = this.#clock.setTimeout(() => this.#look(), delayMs);
  }

  #look() {
    if (!this.#limits) return;
    if (this.#clock.now() < this.#dueAt(this.#limits)) return this.#arm();
    this.#arm(AGAIN_MS);
    this.#tired();
  }

  /** @param {{hiddenMs: number, idleMs: number}} limits */
  #dueAt({ hiddenMs, idleMs }) {
    // Typing into another window is no touch, and a message sent by a hidden page is: it counts from the later one.
    const outOfSight = this.#hiddenSince === null ? Infinity : Math.max(this.#hiddenSince, this.#touchedAt) + hiddenMs;
    return Math.min(outOfSight, this.#touchedAt + idleMs);
  }
}
