/** Keys, touch, mouse and gamepad, all becoming one wish: where to go and where to look. */

const KEYS = /** @type {Record<string, [number, number]>} */ ({
  KeyW: [0, 1], ArrowUp: [0, 1], KeyS: [0, -1], ArrowDown: [0, -1],
  KeyA: [-1, 0], ArrowLeft: [-1, 0], KeyD: [1, 0], ArrowRight: [1, 0],
});
const TURN_PER_PX = 0.0055;

/** Keys typed into a field, or that move among buttons and lists, are not steps. @param {KeyboardEvent} event */
export function isBusy({ ctrlKey, metaKey, altKey, target }) {
  return ctrlKey || metaKey || altKey || Boolean(/** @type {HTMLElement} */ (target).closest?.("input, textarea, select, [role=radiogroup], [popover], dialog"));
}

/** @typedef {{turn(yaw: number, pitch: number): void, zoom(factor: number): void}} Eye */

export class Controls {
  #held = new Set();
  #stick = { x: 0, y: 0 };
  /** @type {Map<number, {x: number, y: number}>} */
  #pointers = new Map();
  #off = new AbortController();

  /**
   * @param {HTMLElement} surface what is dragged to look around; it has the keyboard while focused
   * @param {HTMLElement} pad the touch joystick
   * @param {Eye} eye
   */
  constructor(surface, pad, eye) {
    const { signal } = this.#off;
    addEventListener("keydown", (event) => this.#key(event, true), { signal });
    addEventListener("keyup", (event) => this.#key(event, false), { signal });
    addEventListener("blur", () => this.#held.clear(), { signal });
    this.#watchDrag(surface, eye, signal);
    this.#watchPad(pad, signal);
    this.eye = eye;
  }

  /** @param {number} dt seconds @returns {{x: number, y: number, run: boolean}} */
  wish(dt) {
    let { x, y } = this.#stick;
    let run = this.#held.has("ShiftLeft") || this.#held.has("ShiftRight") || Math.hypot(x, y) > 0.95;
    for (const [key, [dx, dy]] of Object.entries(KEYS)) {
      if (!this.#held.has(key)) continue;
      x += dx;
      y += dy;
    }
    const turn = (this.#held.has("KeyQ") ? 1 : 0) - (this.#held.has("KeyE") ? 1 : 0);
    if (turn) this.eye.turn(turn * 1.9 * dt, 0);
    for (const pad of navigator.getGamepads?.() ?? []) {
      if (!pad?.connected) continue;
      const [lx = 0, ly = 0, rx = 0, ry = 0] = pad.axes.map((value) => (Math.abs(value) < 0.15 ? 0 : value));
      x += lx;
      y -= ly;
      run ||= pad.buttons[0]?.pressed || pad.buttons[10]?.pressed || false;
      if (rx || ry) this.eye.turn(-rx * 2.4 * dt, ry * 1.5 * dt);
    }
    const size = Math.max(1, Math.hypot(x, y));
    return { x: x / size, y: y / size, run };
  }

  close() { this.#off.abort(); }

  /** @param {KeyboardEvent} event @param {boolean} down */
  #key(event, down) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (down && isBusy(event)) return;
    const known = event.code in KEYS || ["ShiftLeft", "ShiftRight", "KeyQ", "KeyE"].includes(event.code);
    if (!known) return;
    if (down) this.#held.add(event.code);
    else this.#held.delete(event.code);
    if (down && event.code.startsWith("Arrow") && !target.closest?.("[tabindex], button, a, [role=log]")) event.preventDefault();
  }

  /** @param {HTMLElement} surface @param {Eye} eye @param {AbortSignal} signal */
  #watchDrag(surface, eye, signal) {
    surface.addEventListener("pointerdown", (event) => {
      surface.setPointerCapture(event.pointerId);
      this.#pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    }, { signal });
    surface.addEventListener("pointermove", (event) => {
      const old = this.#pointers.get(event.pointerId);
      if (!old) return;
      const now = { x: event.clientX, y: event.clientY };
      if (this.#pointers.size === 1) {
        eye.turn((old.x - now.x) * TURN_PER_PX, (now.y - old.y) * TURN_PER_PX);
      } else {
        const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
        if (other) eye.zoom(gap(old, other) / Math.max(1, gap(now, other)));
      }
      this.#pointers.set(event.pointerId, now);
    }, { signal });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      surface.addEventListener(end, (event) => this.#pointers.delete(/** @type {PointerEvent} */ (event).pointerId), { signal });
    }
    surface.addEventListener("wheel", (event) => {
      event.preventDefault();
      eye.zoom(Math.exp(event.deltaY * 0.001));
    }, { signal, passive: false });
  }

  /** @param {HTMLElement} pad @param {AbortSignal} signal */
  #watchPad(pad, signal) {
    const knob = /** @type {HTMLElement} */ (pad.firstElementChild);
    const show = () => { knob.style.transform = `translate(${this.#stick.x * 34}px, ${-this.#stick.y * 34}px)`; };
    /** @param {PointerEvent} event */
    const move = (event) => {
      const box = pad.getBoundingClientRect();
      const [x, y] = [(event.clientX - box.x) / box.width - 0.5, 0.5 - (event.clientY - box.y) / box.height];
      const size = Math.max(0.5, Math.hypot(x, y));
      this.#stick = { x: x / size, y: y / size };
      show();
    };
    pad.addEventListener("pointerdown", (event) => {
      pad.setPointerCapture(event.pointerId);
      move(event);
    }, { signal });
    pad.addEventListener("pointermove", (event) => { if (pad.hasPointerCapture(event.pointerId)) move(event); }, { signal });
    for (const end of ["pointerup", "pointercancel"]) {
      pad.addEventListener(end, () => {
        this.#stick = { x: 0, y: 0 };
        show();
      }, { signal });
    }
  }
}

/** @param {{x: number, y: number}} a @param {{x: number, y: number}} b */
const gap = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);
