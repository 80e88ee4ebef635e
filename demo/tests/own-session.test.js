/** A copied session, in a browser of the test's own. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { claimSession } from "../own-session.js";

const TOKEN = "vchat.refreshToken";

/** @param {Iterable<[string, string]>} [copied] @returns {any} */
function storage(copied) {
  const kept = new Map(copied);
  return {
    kept,
    getItem: (/** @type {string} */ name) => kept.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ value) => void kept.set(name, value),
    clear: () => kept.clear(),
  };
}

/** What `navigator.locks` is to all pages together; `close()` ends the page that holds them. @returns {any} */
function browser() {
  /** @type {Map<string, Promise<void>>} */
  const held = new Map();
  /** @type {(() => void)[]} */
  const ends = [];
  return {
    close: () => ends.forEach((end) => end()),
    async request(/** @type {string} */ name, /** @type {{signal: AbortSignal}} */ { signal }, /** @type {() => Promise<void>} */ work) {
      const awake = setInterval(() => {}, 1000); // the signal's timer does not keep node awake
      const aborted = () => new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      try {
        while (held.has(name)) await Promise.race([held.get(name), aborted()]);
      } finally {
        clearInterval(awake);
      }
      held.set(name, new Promise((resolve) => ends.push(() => { held.delete(name); resolve(); })));
      return work();
    },
  };
}

test("a duplicated tab begins as somebody else, and the first goes on", async () => {
  const locks = browser();
  const first = storage([[TOKEN, "refresh-1"]]);
  await claimSession(first, locks);
  const copy = storage(first.kept);
  await claimSession(copy, locks, 1);
  assert.equal(first.getItem(TOKEN), "refresh-1");
  assert.equal(copy.getItem(TOKEN), null);
  const copied = storage(copy.kept.set(TOKEN, "refresh-2"));
  await claimSession(copied, locks, 1);
  assert.equal(copied.getItem(TOKEN), null);
});

test("a reload waits for the page before it to let go, and goes on", async () => {
  const locks = browser();
  const session = storage([[TOKEN, "refresh-1"]]);
  await claimSession(session, locks);
  const reloaded = claimSession(session, locks, 5_000);
  locks.close();
  await reloaded;
  assert.equal(session.getItem(TOKEN), "refresh-1");
});

test("where the browser has no locks, a session is taken as it is", async () => {
  const session = storage([[TOKEN, "refresh-1"]]);
  await claimSession(session, undefined);
  assert.deepEqual([...session.kept.keys()], [TOKEN]);
});
