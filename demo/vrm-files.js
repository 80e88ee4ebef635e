/** Avatars as files: the presets the page comes with, and one's own, checked before it is read. */

/** @typedef {import("./vrm.js").VRM} VRM */

const FOLDER = "/demo/avatars/";
const MOST_BYTES = 50 * 1024 * 1024;
const DOWNLOAD_MS = 60_000;
const GLB_MAGIC = 0x46546c67; // "glTF", little-endian

/** @type {Promise<{id: string, name: string, file: string}[]> | null} */
let listing = null;
/** @type {Map<string, Promise<ArrayBuffer>>} */
const bytes = new Map();

/** A file the page cannot show; `unseen`: not this one, but nothing. */
export class FileRefused extends Error {
  /** @param {"too-large" | "not-glb" | "not-vrm" | "unseen"} code @param {unknown} [cause] */
  constructor(code, cause) {
    super(code, { cause });
    this.code = code;
  }
}

/** The presets that can be chosen. @returns {Promise<{id: string, name: string, file: string}[]>} */
export function presets() {
  return (listing ??= fetchOk(`${FOLDER}avatars.json`).then((answer) => answer.json()).then(({ avatars }) => avatars).catch((error) => {
    listing = null; // the next call tries again
    throw error;
  }));
}

/** A new copy of a preset; somebody with an unknown one gets the first. @param {string | null | undefined} id @returns {Promise<VRM>} */
export async function loadPreset(id) {
  const list = await presets();
  const { file } = list.find((preset) => preset.id === id) ?? list[0];
  let data = bytes.get(file);
  if (!data) {
    data = fetchOk(FOLDER + file).then((answer) => answer.arrayBuffer());
    bytes.set(file, data);
    data.catch(() => bytes.delete(file));
  }
  return parse(await data);
}

/** Somebody's own file; it stays in this browser. @param {File} file @returns {Promise<VRM>} */
export async function loadOwn(file) {
  if (file.size > MOST_BYTES) throw new FileRefused("too-large");
  return checked(await file.arrayBuffer());
}

/** A model from an address that VRoid Hub gave this person; nothing of it is kept. @param {string} url @returns {Promise<VRM>} */
export async function loadModel(url) {
  const answer = await fetchOk(url, { credentials: "omit", referrerPolicy: "no-referrer", cache: "no-store", signal: AbortSignal.timeout(DOWNLOAD_MS) });
  if (Number(answer.headers.get("content-length")) > MOST_BYTES) throw new FileRefused("too-large");
  const data = await answer.arrayBuffer();
  if (data.byteLength > MOST_BYTES) throw new FileRefused("too-large");
  return checked(data);
}

/** @param {ArrayBuffer} data */
async function checked(data) {
  if (data.byteLength < 20 || new DataView(data).getUint32(0, true) !== GLB_MAGIC) throw new FileRefused("not-glb");
  try {
    return await parse(data);
  } catch (error) {
    throw new FileRefused("not-vrm", error);
  }
}

/** @param {string} url @param {RequestInit} [init] */
async function fetchOk(url, init) {
  const answer = await fetch(url, init);
  if (!answer.ok) throw new Error(`${new URL(url, location.origin).pathname} answered ${answer.status}`); // without a query, which may be a secret
  return answer;
}

/** @param {ArrayBuffer} data @returns {Promise<VRM>} */
async function parse(data) {
  const { read } = await import("./vrm.js"); // with three.js, which a page that draws nothing does without
  const vrm = await read(data);
  if (!vrm) throw new FileRefused("not-vrm");
  return vrm;
}
