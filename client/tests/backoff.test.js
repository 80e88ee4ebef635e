/** Waiting times. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, BASE_MS, CAP_MS } from "../backoff.js";

test("waiting is spread evenly over the whole span, which doubles up to its cap", () => {
  for (const failures of [0, 1, 2, 3, 5, 6, 40, 2_000]) {
    const span = Math.min(CAP_MS, BASE_MS * 2 ** failures);
    assert.equal(backoffMs(failures, () => 0), 0);
    assert.ok(backoffMs(failures, () => 1 - Number.EPSILON) < span);
    const tenths = new Array(10).fill(0);
    for (let i = 0; i < 1_000; i++) tenths[Math.floor((backoffMs(failures, () => i / 1_000) / span) * 10 + 1e-9)] += 1;
    assert.deepEqual(tenths, new Array(10).fill(100));
  }
  assert.equal(BASE_MS, 300);
  assert.equal(CAP_MS, 15_000);
});
