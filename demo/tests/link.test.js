/** A link to a room gets to the person who is to send it, whatever the browser allows. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { copyLink, shareLink } from "../link.js";
import { fakePage } from "./fake-page.js";

const ADDRESS = { roomId: "r1", invite: "i1" };
const LINK = "https://page.test/#/rooms/r1?invite=i1";
let page;
let copied;
let shared;

beforeEach(() => {
  page = fakePage();
  [copied, shared] = [[], []];
  Object.assign(globalThis, { location: { origin: "https://page.test", pathname: "/" } });
  browser({});
});

/** @param {{clipboard?: object, share?: object}} has */
function browser({ clipboard = { writeText: async (text) => void copied.push(text) }, ...more }) {
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { clipboard, ...more } });
}

const failing = (name) => async () => { throw Object.assign(new Error(name), { name }); };
const told = () => page.getElementById("toasts").textContent;

test("a link is copied, and it is said how long an invitation is good", async () => {
  await copyLink(ADDRESS);
  assert.deepEqual(copied, [LINK]);
  assert.match(told(), /good for 7 days/);
});

test("a link that the browser does not copy is shown whole, to be copied by hand", async () => {
  for (const clipboard of [null, { writeText: failing("NotAllowedError") }]) {
    browser({ clipboard });
    await copyLink(ADDRESS);
    assert.equal(page.getElementById("link").open, true);
    assert.equal(page.getElementById("link-field").value, LINK);
    assert.equal(page.activeElement, page.getElementById("link-field"));
    assert.equal(told(), "");
  }
});

test("a device that can send things is given the link, and may be told not to", async () => {
  browser({ share: async ({ url }) => void shared.push(url) });
  await shareLink(ADDRESS);
  browser({ share: failing("AbortError") });
  await shareLink(ADDRESS);
  assert.deepEqual([shared, copied], [[LINK], []]);
});

test("where nothing can be sent the link is copied", async () => {
  await shareLink(ADDRESS);
  browser({ share: failing("NotAllowedError") });
  await shareLink(ADDRESS);
  assert.deepEqual(copied, [LINK, LINK]);
});
