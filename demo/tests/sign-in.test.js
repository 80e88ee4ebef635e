import assert from "node:assert/strict";
import { test } from "node:test";
import { wayBack, wayOut } from "../sign-in.js";

/** @returns {Storage} */
function storage() {
  const kept = new Map();
  return /** @type {any} */ ({
    getItem: (/** @type {string} */ name) => kept.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ value) => void kept.set(name, value),
    removeItem: (/** @type {string} */ name) => void kept.delete(name),
  });
}

test("the way out leads back to this page", () => {
  const url = new URL(wayOut("https://page.test/chat/index.html", "https://api.test/v1", storage(), "7 8"));
  assert.equal(url.origin + url.pathname, "https://api.test/v1/auth/vroid/start");
  assert.equal(url.searchParams.get("returnTo"), "https://page.test/chat/index.html?login=7%208");
});

test("a code is taken once, by the window that set out", () => {
  const mine = storage();
  wayOut("https://page.test/", "https://page.test/api", mine, "7");
  const back = { search: "?login=7", hash: "#code=vc_x.y" };
  assert.deepEqual(wayBack(back, mine), { code: "vc_x.y" });
  assert.deepEqual(wayBack(back, mine), { error: "unauthenticated" });
});

test("a code from a stranger's link is not taken", () => {
  const mine = storage();
  assert.deepEqual(wayBack({ search: "?login=7", hash: "#code=x" }, mine), { error: "unauthenticated" });
  wayOut("https://page.test/", "https://page.test/api", mine, "7");
  assert.deepEqual(wayBack({ search: "?login=8", hash: "#code=x" }, mine), { error: "unauthenticated" });
});

test("a refusal is told, and other addresses are none of its business", () => {
  const mine = storage();
  wayOut("https://page.test/", "https://page.test/api", mine, "7");
  assert.equal(wayBack({ search: "", hash: "#/rooms/r1" }, mine), null);
  assert.equal(wayBack({ search: "", hash: "" }, mine), null);
  assert.deepEqual(wayBack({ search: "?login=7", hash: "#error=unavailable" }, mine), { error: "unavailable" });
});
