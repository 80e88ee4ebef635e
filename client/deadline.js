/** A promise that does not wait for ever. */

/**
 * @template T
 * @param {Promise<T>} promise
 * @param {number} ms
 * @param {import("./types.js").Clock} clock
 * @param {() => Error} late makes the error to reject with
 * @returns {Promise<T>}
 */
export function within(promise, ms, clock, late) {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimeout(() => reject(late()), ms);
    promise.then(resolve, reject).finally(() => clock.clearTimeout(timer));
  });
}
