/** The microphone among the room's buttons, and the voices in the list of people. */

import { byId, icon } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { liveKit } from "./livekit.js";
import { problemText } from "./problems.js";
import { toast } from "./toasts.js";
import { Voice } from "./voice.js";

export class VoicePanel {
  #voice;
  #room;
  #off = new AbortController();
  #stopLanguage;

  /** @param {{room: import("vchat-client").RoomClient, api: import("vchat-client").VChatApi, roomId: string, connect?: import("./voice.js").Connect}} options */
  constructor({ room, api, roomId, connect = liveKit() }) {
    const { signal } = this.#off;
    this.#room = room;
    this.#voice = new Voice({
      connect,
      getToken: () => api.voiceToken(roomId),
      onChange: () => this.show(),
      onSilent: () => addEventListener("pointerdown", () => void this.#voice.listen(), { once: true, signal }),
      onFault: (error) => { if (room.state !== "refused") toast(problemText(error), "bad"); },
    });
    byId("voice").hidden = false;
    byId("mic").addEventListener("click", () => void this.#voice.press(), { signal });
    byId("hang-up").addEventListener("click", () => void this.#hangUp(), { signal });
    this.#stopLanguage = onLanguage(() => this.show());
    this.show();
  }

  /** @param {string} userId @returns {number} 0 to 1 */
  level(userId) { return this.#voice.level(userId); }

  /** Show who speaks and whether one may: after the members or the call changed. */
  show() {
    const { members, seat, state: room } = this.#room;
    if (room === "refused" || room === "left") void this.#hangUp(); // sent out of the room is out of its call, whoever is away
    const me = members.get(seat ?? -1);
    if (me) this.#voice.permit(!me.muted && me.role !== "spectator");
    const { state, may } = this.#voice;
    const mic = /** @type {HTMLButtonElement} */ (byId("mic"));
    const says = t(state === "joining" ? "voice.joining" : !may && state !== "off" ? (me?.muted ? "voice.muted" : "voice.watching")
      : !may ? "voice.listen" : state === "off" ? "voice.join" : state === "speaking" ? "voice.mute" : "voice.unmute");
    mic.dataset.state = state;
    mic.disabled = room !== "joined" && room !== "migrating" || state === "joining" || (!may && state !== "off");
    mic.setAttribute("aria-pressed", String(state === "speaking"));
    mic.setAttribute("aria-label", says);
    mic.title = says;
    mic.replaceChildren(icon(state === "speaking" || state === "off" && may ? "mic" : may ? "mic-off" : "listen"));
    byId("hang-up").hidden = state === "off";
    for (const item of /** @type {NodeListOf<HTMLElement>} */ (byId("people").querySelectorAll("[data-user]"))) {
      const level = this.#voice.level(item.dataset.user ?? "");
      item.style.setProperty("--level", Math.min(1, Math.sqrt(level)).toFixed(2));
      item.classList.toggle("speaking", level > 0);
    }
  }

  close() {
    this.#off.abort();
    this.#stopLanguage();
    byId("voice").hidden = true;
    void this.#hangUp();
  }

  async #hangUp() {
    await this.#voice.leave().catch((error) => toast(problemText(error), "bad"));
  }
}
