/** Bodies for what people wear: presets of this page, one's own file, and VRoid Hub's models by licences of one's own. */

import { loadModel, loadOwn, loadPreset } from "./vrm-files.js";

/** @typedef {import("../client/types.js").Avatar} Avatar */

export class Wardrobe {
  /** One's own .vrm, which this screen shows over whatever one chose. @type {File | null} */
  #file = null;
  /** The body it was read as when it was put on; later ones are read anew. @type {import("./vrm-files.js").VRM | null} */
  #fresh = null;
  #api;
  #atHub;
  #onFault;

  /**
   * @param {import("vchat-client").VChatApi} api @param {() => boolean} atHub whether the one who looks is signed in there
   * @param {(error: unknown) => void} onFault a model could not be had, and a stand-in is shown
   */
  constructor(api, atHub, onFault) {
    this.#api = api;
    this.#atHub = atHub;
    this.#onFault = onFault;
  }

  get hasFile() { return this.#file !== null; }

  /** Put one's own .vrm on. @param {File} file @returns what it says of itself @throws {import("./vrm-files.js").FileRefused} (as a rejection) */
  async putOn(file) {
    this.#fresh = await loadOwn(file);
    this.#file = file;
    return this.#fresh.meta;
  }

  takeOff() { this.#file = this.#fresh = null; }

  /** What `body` would give, as a text to compare. @param {Avatar | null} avatar @param {{own?: boolean}} [whose] */
  look(avatar, { own = false } = {}) {
    return own && this.#file ? `file ${this.#file.name} ${this.#file.lastModified} ${this.#file.size}` : `${avatar?.source} ${avatar?.id}`;
  }

  /**
   * A new body. Who may not load the model sees the stand-in, a preset; so does who cannot.
   * @param {Avatar | null} avatar @param {string} standIn a preset @param {{own?: boolean}} [whose]
   */
  async body(avatar, standIn, { own = false } = {}) {
    if (own && this.#file) {
      const fresh = this.#fresh;
      this.#fresh = null;
      return fresh ?? loadOwn(this.#file);
    }
    if (avatar?.source === "vroid" && this.#atHub() && (own || avatar.shared !== false)) {
      try {
        // Licence and address are for whoever looks, and the bytes come straight from the Hub.
        const { url } = await this.#api.avatars.download(avatar.id);
        return await loadModel(url);
      } catch (error) {
        this.#onFault(error);
      }
    }
    return loadPreset(avatar?.source === "preset" ? avatar.id : standIn);
  }
}
