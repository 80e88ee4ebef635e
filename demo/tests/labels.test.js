/** Names and bubbles over the heads: what is said can be read. */

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { Label } from "../labels.js";
import { fakePage } from "./fake-page.js";

let layer;

beforeEach(() => { layer = fakePage().createElement("div"); });

function label() {
  const made = new Label(layer);
  const root = layer.lastElementChild;
  Object.assign(root, { offsetHeight: 150, offsetWidth: 230 });
  return { made, root, bottom: () => Number(/, (-?[\d.]+)px\) translate/.exec(root.style.transform)[1]) };
}

test("a bubble stays under the bar, however high the head is; a name alone goes where the head goes", () => {
  const { made, bottom } = label();
  made.move({ x: 100, y: 20, distance: 5.5 });
  assert.equal(bottom(), 20);
  made.say("a long story");
  made.move({ x: 100, y: 20, distance: 5.5 });
  assert.ok(bottom() - 150 >= 74, "the bubble begins under the bar");
  made.move({ x: 100, y: 400, distance: 5.5 });
  assert.equal(bottom(), 400);
});

test("a bubble over a head at the edge is on the page, and one that is off it stays there", () => {
  const { made, root } = label();
  made.say("a long story");
  for (const [x, left] of [[20, 6], [640, 640 - 115], [1270, 1280 - 6 - 230], [-40, -40 - 115]]) {
    made.move({ x, y: 400, distance: 5.5 });
    assert.equal(x - 115 + parseFloat(root.querySelector(".bubble").style.translate), left);
  }
});

test("what is said is before every name, and nearer words before farther ones", () => {
  const [far, near, name] = [label(), label(), label()];
  far.made.say("far");
  near.made.say("near");
  for (const [{ made }, distance] of [[far, 12], [near, 3], [name, 1]]) made.move({ x: 0, y: 300, distance });
  const order = [near, far, name].map(({ root }) => Number(root.style.zIndex));
  assert.deepEqual(order, [...order].sort((a, b) => b - a));
});
