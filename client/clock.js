/** The page's own time and timers; tests bring a clock they move by hand. */

/** @type {import("./types.js").Clock} */
export const systemClock = {
  // Wall time: performance.now() stands still in some browsers while the machine sleeps,
  // and noticing that sleep is what the liveness check is for.
  now: () => Date.now(),
  setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms),
  clearTimeout: (timer) => globalThis.clearTimeout(/** @type {any} */ (timer)),
};
