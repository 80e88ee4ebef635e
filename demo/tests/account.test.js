/** Who one is after a reload, after a sign-in, and after the server forgot. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

/** @returns {any} */
function storage() {
  const kept = new Map();
  return {
    getItem: (/** @type {string} */ name) => kept.get(name) ?? null,
    setItem: (/** @type {string} */ name, /** @type {string} */ value) => void kept.set(name, value),
    removeItem: (/** @type {string} */ name) => void kept.delete(name),
  };
}

const element = () => ({ hidden: true, textContent: "", append() {}, addEventListener() {}, childElementCount: 0 });
const HUB = { id: "u1", name: "Aya", avatar: { source: "vroid", id: "7", title: "Kite", author: "B" }, identities: [{ provider: "vroid", subject: "9" }] };
/** @type {Record<string, any>} */
let elements;

beforeEach(() => {
  elements = {};
  const page = {
    getElementById: (/** @type {string} */ id) => (elements[id] ??= element()),
    createElement: element, querySelectorAll: () => [], documentElement: {},
  };
  Object.assign(globalThis, {
    localStorage: storage(), sessionStorage: storage(), document: page,
    location: { origin: "https://page.test", pathname: "/index.html", search: "", hash: "" }, history: { replaceState() {} },
  });
});

/** An API that knows one account, and writes down what it is asked. @param {any} [more] @returns {any} */
function fakeApi(more = {}) {
  return {
    asked: /** @type {string[]} */ ([]), user: null, signedIn: true,
    async me() { this.asked.push("me"); return (this.user = HUB); },
    async guest(/** @type {string} */ name) { this.asked.push(`guest ${name}`); this.signedIn = true; return (this.user = { id: "u2", name, avatar: null }); },
    async updateMe(/** @type {any} */ { name }) { this.asked.push(`name ${name}`); },
    async wear(/** @type {any} */ { source, id }) { this.asked.push(`wear ${source} ${id}`); },
    async request() { return { signIn: ["guest", "vroid"], voice: true }; },
    ...more,
  };
}

/** @param {any} api */
async function opened(api) {
  const { Account } = await import("../account.js");
  const account = new Account(api, "https://api.test", () => {});
  Object.assign(account, { name: "Aya", look: "hana" });
  await account.open();
  return account;
}

test("a reload goes on as the same person, in the same model", async () => {
  const account = await opened(fakeApi());
  assert.deepEqual([account.atHub, account.avatar.id, account.voice], [true, "7", true]);
  assert.equal(elements["sign-in"].hidden, false);
});

test("who the server has forgotten is a guest without a word, and is offered what there is", async () => {
  const api = fakeApi({ async me() { this.signedIn = false; throw Object.assign(new Error("over"), { code: "unauthenticated" }); } });
  sessionStorage.setItem("vchat.told", '["Aya","preset","hana"]');
  const account = await opened(api);
  assert.equal(elements["sign-in"].hidden, false);
  assert.equal(elements.toasts, undefined);
  await account.signIn();
  assert.deepEqual(api.asked, ["guest Aya", "wear preset hana"]);
});

test("the server is told a name and a look once, and again when they change", async () => {
  const api = fakeApi({ signedIn: false });
  const account = await opened(api);
  await account.signIn();
  await account.signIn();
  account.look = "sora";
  await account.signIn();
  account.name = "Ben";
  await account.signIn();
  assert.deepEqual(api.asked, ["guest Aya", "wear preset hana", "wear preset sora", "name Ben"]);
});

test("a model that was put on is not asked for again at the door", async () => {
  const api = fakeApi();
  sessionStorage.setItem("vchat.told", '["Aya","vroid","7"]');
  const account = await opened(api);
  account.wears(/** @type {any} */ ({ source: "vroid", id: "8" }));
  await account.signIn();
  assert.deepEqual(api.asked, ["me"]);
  assert.equal(account.avatar.id, "8");
});
