/** Keys, a gamepad and a finger mean the same walk. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Controls } from "../controls.js";
import { Walker } from "../walker.js";

/** @type {(object | null)[]} */
let pads = [];
const window = new EventTarget();
Object.assign(globalThis, { addEventListener: window.addEventListener.bind(window) });
Object.defineProperty(globalThis, "navigator", { configurable: true, value: { getGamepads: () => pads } });

/** @param {import("node:test").TestContext} t */
function arrange(t) {
  const turns = { yaw: 0, pitch: 0 };
  const pad = Object.assign(new EventTarget(), {
    firstElementChild: { style: {} }, setPointerCapture() {}, hasPointerCapture: () => true,
    getBoundingClientRect: () => ({ x: 0, y: 0, width: 100, height: 100 }),
  });
  const controls = new Controls(/** @type {any} */ (new EventTarget()), /** @type {any} */ (pad), {
    turn: (yaw, pitch) => { turns.yaw += yaw; turns.pitch += pitch; },
    zoom() {},
  });
  t.after(() => { controls.close(); pads = []; });
  return { controls, turns, pad };
}

/** @param {{axes?: number[], pressed?: number[], connected?: boolean}} state of a pad with the standard mapping */
function gamepad({ axes = [0, 0, 0, 0], pressed = [], connected = true }) {
  return { axes, connected, buttons: Array.from({ length: 17 }, (_, i) => ({ pressed: pressed.includes(i) })) };
}

/** @param {string} type @param {string} code @param {object} [target] */
function key(type, code, target = { closest: () => null }) {
  const event = Object.assign(new Event(type), { code });
  Object.defineProperty(event, "target", { value: target });
  window.dispatchEvent(event);
}

test("the left stick walks: forward is up, right is right, and no faster aslant", (t) => {
  const { controls } = arrange(t);
  for (const [axes, x, y] of /** @type {[number[], number, number][]} */ ([[[0, -1], 0, 1], [[1, 0], 1, 0], [[0, 0.5], 0, -0.5], [[1, -1], Math.SQRT1_2, Math.SQRT1_2]])) {
    pads = [gamepad({ axes: [...axes, 0, 0] })];
    const wish = controls.wish(0.016);
    assert.ok(Math.abs(wish.x - x) < 1e-9 && Math.abs(wish.y - y) < 1e-9, `${axes} became ${wish.x}, ${wish.y}`);
    assert.equal(wish.run, false);
  }
});

test("a stick that rests a little off its middle walks nobody away", (t) => {
  const { controls, turns } = arrange(t);
  pads = [gamepad({ axes: [0.14, -0.14, 0.1, -0.14] })];
  assert.deepEqual(controls.wish(0.016), { x: 0, y: 0, run: false });
  assert.deepEqual(turns, { yaw: 0, pitch: 0 });
});

test("the right stick looks around at the pace of time, a button runs", (t) => {
  const { controls, turns } = arrange(t);
  pads = [gamepad({ axes: [0, 0, 1, -1], pressed: [0] })];
  assert.equal(controls.wish(0.5).run, true);
  assert.ok(turns.yaw < 0 && turns.pitch < 0);
  const once = turns.yaw;
  for (let i = 0; i < 10; i++) controls.wish(0.05);
  assert.ok(Math.abs(turns.yaw - 2 * once) < 1e-9);
});

test("empty places and pads that were pulled out do nothing", (t) => {
  const { controls } = arrange(t);
  pads = [null, gamepad({ axes: [1, 1, 1, 1], connected: false }), gamepad({ axes: [] })];
  assert.deepEqual(controls.wish(0.016), { x: 0, y: 0, run: false });
});

test("keys walk while they are held, and not while somebody writes", (t) => {
  const { controls } = arrange(t);
  key("keydown", "KeyW");
  key("keydown", "ArrowRight");
  key("keydown", "ShiftLeft");
  const { x, y, run } = controls.wish(0.016);
  assert.ok(x > 0.7 && y > 0.7 && run);
  for (const code of ["KeyW", "ArrowRight", "ShiftLeft"]) key("keyup", code);
  key("keydown", "KeyW", { closest: (/** @type {string} */ what) => (what.includes("input") ? {} : null) });
  assert.deepEqual(controls.wish(0.016), { x: 0, y: 0, run: false });
});

test("a key that is held when the window loses the keyboard is let go", (t) => {
  const { controls } = arrange(t);
  key("keydown", "KeyW");
  window.dispatchEvent(new Event("blur"));
  assert.deepEqual(controls.wish(0.016), { x: 0, y: 0, run: false });
});

test("a finger on the joystick walks where it is pulled, runs at the rim, and stops when it is lifted", (t) => {
  const { controls, pad } = arrange(t);
  const touch = (/** @type {string} */ type, /** @type {number} */ clientX, /** @type {number} */ clientY) =>
    pad.dispatchEvent(Object.assign(new Event(type), { pointerId: 1, clientX, clientY }));
  touch("pointerdown", 50, 25);
  assert.deepEqual(controls.wish(0.016), { x: 0, y: 0.5, run: false });
  touch("pointermove", 100, 50);
  assert.deepEqual(controls.wish(0.016), { x: 1, y: 0, run: true });
  touch("pointerup", 100, 50);
  assert.deepEqual(controls.wish(0.016), { x: 0, y: 0, run: false });
});

test("a gamepad walks somebody across the terrace", (t) => {
  const { controls } = arrange(t);
  const walker = new Walker(8, []);
  pads = [gamepad({ axes: [0, -1, 0, 0] })];
  for (let i = 0; i < 60; i++) walker.step(1 / 60, controls.wish(1 / 60), 0);
  assert.ok(walker.z > 1 && Math.abs(walker.x) < 0.01, `stands at ${walker.x}, ${walker.z}`);
});
