/** How long to wait before the next try. */

export const BASE_MS = 300;
export const CAP_MS = 15_000;

/**
 * Full jitter: uniform in [0, min(cap, base × 2^failures)), so that a crowd that was dropped together does not come back together.
 * Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 * @param {number} failures how many tries in a row have failed before this wait, from 0
 * @param {() => number} random uniform in [0, 1)
 * @returns {number} milliseconds
 */
export function backoffMs(failures, random) {
  return random() * Math.min(CAP_MS, BASE_MS * 2 ** failures);
}
