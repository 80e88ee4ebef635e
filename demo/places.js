/** Where people stand when they come in: each seat has a place of its own around the middle, and faces it. */

import { wrapped } from "./rotation.js";

const NEAREST_M = 1.6;
/** How much of the floor each has. */
const EACH_M2 = 0.9;
/** Turned by this from seat to seat people stand like the seeds of a sunflower: nobody right before anybody else. */
const TURN = Math.PI * (3 - Math.sqrt(5));
/** Of the circle; the rest is left open, towards the fountain. */
const ARC = 0.75;
/** Then places begin anew: more would stand in what stands on the terrace. */
const PLACES = 40;

/** @param {number} seat @returns {{x: number, z: number, yaw: number}} metres, radians */
export function placeOf(seat) {
  const n = seat % PLACES;
  const radius = Math.sqrt(NEAREST_M ** 2 + (n * EACH_M2) / (Math.PI * ARC));
  const angle = wrapped(n * TURN) * ARC;
  return { x: radius * Math.sin(angle), z: radius * Math.cos(angle), yaw: wrapped(angle + Math.PI) };
}
