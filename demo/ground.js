/** The ground people walk on: how far it goes, and what stands on it. */

export const ROOM_RADIUS = 8;

/** Where nobody can walk. @type {import("./walker.js").Obstacle[]} */
export const OBSTACLES = [
  { x: 0, z: -5.2, radius: 1.0 },
  { x: -5.6, z: -2.4, radius: 0.55 },
  { x: 5.6, z: -2.4, radius: 0.55 },
  ...[0.95, 2.2, 4.08, 5.33].map((angle) => ({ x: 6.9 * Math.sin(angle), z: 6.9 * Math.cos(angle), radius: 0.22 })),
];
