/** The place people meet: a terrace on a floating island, with trees, lanterns and clouds around. */

import {
  BackSide, BoxGeometry, BufferAttribute, CircleGeometry, Color, ConeGeometry, CylinderGeometry, Group, IcosahedronGeometry, InstancedMesh,
  Mesh, MeshBasicMaterial, MeshLambertMaterial, Object3D, RingGeometry, SphereGeometry, TorusGeometry,
} from "three";
import { merged } from "./detail.js";
import { OBSTACLES, ROOM_RADIUS } from "./ground.js";

const DAY = { zenith: 0x4f9fe0, middle: 0xa9dbf5, horizon: 0xfff6e8, low: 0xf7d9c4, stone: 0xdfcfc0, path: 0xcbb3a4, inlay: 0xcf8570, grass: 0x93c47a, leaf: 0x7fb86a,
  blossom: 0xffb7c8, wood: 0xa3745a, cloud: 0xffffff, rock: 0xb49a8c, lamp: 0xfff1b8 };
const DUSK = { zenith: 0x1d2450, middle: 0x6a4f8f, horizon: 0xe8939a, low: 0x57477e, stone: 0xb9a9b8, path: 0x9d8ba4, inlay: 0xc9787d, grass: 0x5d7f78, leaf: 0x4e7a72,
  blossom: 0xd98aa8, wood: 0x76565c, cloud: 0xb795b5, rock: 0x74637c, lamp: 0xffd98a };

/** @param {boolean} dusk @param {boolean} light only what is near, without light and shade @returns {import("three").Object3D} */
export function scenery(dusk, light) {
  const c = dusk ? DUSK : DAY;
  /** @type {Round} */
  const round = (parts) => (light ? Math.ceil(parts / 2) : parts);
  const all = new Group();
  all.add(terrace(c, round), fountain(c, round), ...benches(c), lanterns(c, round), trees(c, round));
  if (light) return merged(all);
  all.add(sky(c), clouds(c), islands(c));
  return all;
}

/** @typedef {typeof DAY} Colours */
/** @typedef {(parts: number) => number} Round of how many parts something round is made, of so many at best */

/** @param {number} colour */
const matte = (colour) => new MeshLambertMaterial({ color: colour });

/** @param {import("three").BufferGeometry} shape @param {import("three").Material} material @param {[number, number, number]} at */
function solid(shape, material, at, shadow = true) {
  const mesh = new Mesh(shape, material);
  mesh.position.set(...at);
  mesh.castShadow = shadow;
  mesh.receiveShadow = true;
  return mesh;
}

/** @param {Colours} c */
function sky(c) {
  const ball = new SphereGeometry(90, 24, 48);
  const at = ball.getAttribute("position");
  const colours = new Float32Array(at.count * 3);
  const [zenith, middle, horizon, low, mix] = [c.zenith, c.middle, c.horizon, c.low, 0].map((colour) => new Color(colour));
  for (let i = 0; i < at.count; i++) {
    const height = at.getY(i) / 90;
    if (height < 0) mix.copy(horizon).lerp(low, Math.min(1, -height * 2.5));
    else mix.copy(horizon).lerp(middle, Math.min(1, height * 4)).lerp(zenith, Math.max(0, Math.min(1, height * 1.6 - 0.25)));
    mix.toArray(colours, i * 3);
  }
  ball.setAttribute("color", new BufferAttribute(colours, 3));
  return new Mesh(ball, new MeshBasicMaterial({ vertexColors: true, side: BackSide, depthWrite: false, fog: false }));
}

/** @param {Colours} c @param {Round} round */
function terrace(c, round) {
  const group = new Group();
  /** @param {import("three").BufferGeometry} shape @param {number} colour @param {number} y */
  const flat = (shape, colour, y) => {
    const mesh = solid(shape, matte(colour), [0, y, 0], false);
    mesh.rotation.x = -Math.PI / 2;
    group.add(mesh);
  };
  group.add(solid(new CylinderGeometry(11.5, 10.2, 0.9, round(56)), matte(c.grass), [0, -0.52, 0], false));
  group.add(solid(new ConeGeometry(10.2, 8, round(18)), matte(c.rock), [0, -4.95, 0], false));
  const under = group.children[1];
  under.rotation.x = Math.PI;
  flat(new CircleGeometry(ROOM_RADIUS + 0.25, round(64)), c.stone, 0);
  flat(new RingGeometry(ROOM_RADIUS - 0.35, ROOM_RADIUS + 0.3, round(64)), c.path, 0.004);
  flat(new RingGeometry(3.3, 3.5, round(64)), c.inlay, 0.004);
  flat(new RingGeometry(3.62, 3.68, round(64)), c.inlay, 0.004);
  for (let i = 0; i < 12; i++) {
    const petal = new CircleGeometry(0.22, round(20));
    petal.scale(0.55, 1.9, 1).translate(0, 0.9, 0).rotateZ((i * Math.PI) / 6);
    flat(petal, i % 2 ? c.inlay : c.path, 0.005);
  }
  return group;
}

/** @param {Colours} c @param {Round} round */
function fountain(c, round) {
  const group = new Group();
  group.position.set(0, 0, -5.2);
  group.add(solid(new CylinderGeometry(1.0, 1.08, 0.42, round(36)), matte(c.path), [0, 0.21, 0]));
  group.add(solid(new CylinderGeometry(0.86, 0.86, 0.04, round(36)), matte(0x79c8dc), [0, 0.41, 0], false));
  const rim = solid(new TorusGeometry(0.94, 0.075, round(10), round(40)), matte(c.stone), [0, 0.43, 0]);
  rim.rotation.x = Math.PI / 2;
  group.add(rim);
  group.add(solid(new CylinderGeometry(0.12, 0.2, 0.75, round(16)), matte(c.stone), [0, 0.75, 0]));
  group.add(solid(new CylinderGeometry(0.45, 0.16, 0.16, round(28)), matte(c.path), [0, 1.15, 0]));
  group.add(solid(new SphereGeometry(0.15, round(20), round(14)), matte(0x9be0ec), [0, 1.3, 0]));
  return group;
}

/** @param {Colours} c */
function benches(c) {
  return [-1, 1].map((side) => {
    const bench = new Group();
    bench.position.set(side * 5.6, 0, -2.4);
    bench.rotation.y = -side * 1.15;
    const wood = matte(c.wood);
    bench.add(solid(new BoxGeometry(1.5, 0.07, 0.46), wood, [0, 0.42, 0]));
    bench.add(solid(new BoxGeometry(1.5, 0.36, 0.06), wood, [0, 0.74, -0.22]));
    for (const x of [-0.6, 0.6]) bench.add(solid(new BoxGeometry(0.1, 0.42, 0.4), matte(c.rock), [x, 0.21, 0]));
    return bench;
  });
}

/** @param {Colours} c @param {Round} round */
function lanterns(c, round) {
  const group = new Group();
  const glow = new MeshBasicMaterial({ color: c.lamp });
  for (const { x, z } of OBSTACLES.slice(3)) {
    group.add(solid(new CylinderGeometry(0.045, 0.07, 1.9, round(10)), matte(c.wood), [x, 0.95, z]));
    group.add(solid(new SphereGeometry(0.19, round(18), round(14)), glow, [x, 2.02, z], false));
    group.add(solid(new ConeGeometry(0.24, 0.16, round(16)), matte(c.wood), [x, 2.24, z]));
  }
  return group;
}

/** @param {Colours} c @param {Round} round */
function trees(c, round) {
  const spots = [[-8.6, -4.6, 1.15], [8.7, -4.3, 1.0], [-6.9, -7.3, 0.9], [6.6, -7.6, 1.2], [0.6, -10, 1.05], [-9.9, 1.2, 0.95], [9.9, 1.6, 1.1], [-3.4, -9.4, 0.8], [3.9, -9.6, 0.75]];
  const group = new Group();
  const crown = new IcosahedronGeometry(1, round(2));
  const crowns = [c.blossom, c.leaf].map((colour) => new InstancedMesh(crown, matte(colour), spots.length * 3));
  const trunks = new InstancedMesh(new CylinderGeometry(0.11, 0.19, 1.7, round(9)), matte(c.wood), spots.length);
  const spot = new Object3D();
  const counts = [0, 0];
  spots.forEach(([x, z, size], i) => {
    put(trunks, i, spot, [x, 0.75 * size, z], size);
    const kind = i % 3 === 1 ? 1 : 0;
    for (const [dx, y, dz, r] of [[0, 2.15, 0, 0.95], [0.55, 1.8, 0.25, 0.66], [-0.5, 1.75, -0.2, 0.7]]) {
      put(crowns[kind], counts[kind]++, spot, [x + dx * size, y * size, z + dz * size], r * size);
    }
  });
  crowns.forEach((mesh, kind) => (mesh.count = counts[kind]));
  group.add(trunks, ...crowns);
  return group;
}

/** @param {InstancedMesh} mesh @param {number} i @param {Object3D} spot @param {[number, number, number]} at @param {number} size */
function put(mesh, i, spot, at, size) {
  spot.position.set(...at);
  spot.scale.setScalar(size);
  spot.updateMatrix();
  mesh.setMatrixAt(i, spot.matrix);
}

/** @param {Colours} c */
function clouds(c) {
  const mesh = new InstancedMesh(new IcosahedronGeometry(1, 2), new MeshBasicMaterial({ color: c.cloud, transparent: true, opacity: 0.85 }), 48);
  const spot = new Object3D();
  for (let i = 0; i < 48; i++) {
    const bank = Math.floor(i / 4);
    const angle = bank * 2.4;
    const far = 34 + (bank % 4) * 8;
    const [x, z] = [Math.sin(angle) * far + (i % 4) * 2.6, Math.cos(angle) * far + (i % 3)];
    spot.position.set(x, -4 + ((bank * 5.3) % 17) + (i % 2) * 0.5, z);
    spot.scale.set(2.6 - (i % 4) * 0.35, 0.95 - (i % 3) * 0.15, 1.7);
    spot.updateMatrix();
    mesh.setMatrixAt(i, spot.matrix);
  }
  return mesh;
}

/** @param {Colours} c */
function islands(c) {
  const group = new Group();
  for (const [x, y, z, r] of [[-26, -2, -34, 5], [24, 3, -40, 4], [40, -3, -10, 6], [-38, 4, 4, 4.5], [8, 6, -58, 6]]) {
    group.add(solid(new CylinderGeometry(r, r * 0.92, 0.8, 24), matte(c.grass), [x, y, z], false));
    const rock = solid(new ConeGeometry(r * 0.92, r * 0.95, 12), matte(c.rock), [x, y - 0.4 - r * 0.475, z], false);
    rock.rotation.x = Math.PI;
    group.add(rock);
    group.add(solid(new IcosahedronGeometry(r * 0.36, 2), matte(c.blossom), [x - r * 0.2, y + r * 0.42, z], false));
    group.add(solid(new IcosahedronGeometry(r * 0.25, 2), matte(c.leaf), [x + r * 0.4, y + r * 0.3, z + 1], false));
  }
  return group;
}
