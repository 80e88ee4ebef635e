/** Bodies for what people wear: presets of this page, and VRoid Hub's models by licences of one's own. */

import { loadModel, loadPreset } from "./vrm-files.js";

/** @typedef {import("../client/types.js").Avatar} Avatar */

export class Wardrobe {
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

  /**
   * A new body. Who may not load the model sees the stand-in, a preset; so does who cannot.
   * @param {Avatar | null} avatar @param {string} standIn a preset @param {{own?: boolean}} [whose]
   */
  async body(avatar, standIn, { own = false } = {}) {
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
