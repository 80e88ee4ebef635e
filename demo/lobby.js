/** Before a room: one's name and look, the live rooms, a new one. */

import { byId, h } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { copyLink } from "./link.js";
import { problemText } from "./problems.js";
import { toast } from "./toasts.js";

const REFRESH_MS = 4_000;
const TYPING_MS = 250;
/** What may happen in a room, and the author of an avatar must allow. */
const USES = ["violent", "sexual", "political", "antisocial", "corporate", "profit"];

/**
 * @typedef {import("../client/types.js").Room} Room
 * @typedef {{api: import("vchat-client").VChatApi, presets: {id: string, name: string}[], account: import("./account.js").Account,
 *   onLook: () => void, onModels: () => void, enter: (roomId: string) => void}} LobbyOptions
 */

export class Lobby {
  #name = /** @type {HTMLInputElement} */ (byId("name"));
  #roomName = /** @type {HTMLInputElement} */ (byId("room-name"));
  #create = /** @type {HTMLButtonElement} */ (byId("create-button"));
  #search = /** @type {HTMLInputElement} */ (byId("search"));
  #off = new AbortController();
  #options;
  /** @type {Room[] | null} */
  #rooms = null;
  #timer = 0;
  #failed = false;
  /** @type {string | null} */
  #invitedTo = null;
  #stopLanguage;

  /** @param {LobbyOptions} options */
  constructor(options) {
    this.#options = options;
    const { signal } = this.#off;
    this.#name.value ||= options.account.name; // typed already, before this page was ready: kept
    this.#name.addEventListener("input", () => this.#renamed(), { signal });
    byId("create").addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#makeRoom();
    }, { signal });
    this.#create.disabled = false; // sooner, the browser would send the form, and what was typed be gone
    this.#search.addEventListener("input", () => this.#again(TYPING_MS), { signal });
    byId("invited-join").addEventListener("click", () => { if (this.#invitedTo && this.#named()) options.enter(this.#invitedTo); }, { signal });
    byId("hub-button").addEventListener("click", () => options.onModels(), { signal });
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.#again(0); }, { signal });
    this.#stopLanguage = onLanguage(() => { this.#show(); this.#renamed(); this.showLooks(); this.#showUses(); });
    this.showLooks();
    this.#showUses();
    this.#renamed();
    byId("rooms-note").textContent = t("rooms.loading");
    this.#again(0);
  }

  /** Somebody came by a link but has no name yet. @param {import("./address.js").Address | null} to */
  async invite(to) {
    const roomId = to?.roomId ?? null;
    this.#invitedTo = roomId;
    byId("invited").hidden = roomId === null;
    byId("browse").hidden = roomId !== null;
    if (!roomId) return;
    const title = byId("invited-title");
    title.textContent = t(to?.invite ? "invited.private" : "invited.unknown");
    this.#name.focus();
    if (to?.invite) return; // a private room is shown to nobody who is outside
    try {
      const room = await this.#options.api.rooms.get(roomId);
      if (this.#invitedTo === roomId) title.textContent = t("invited", { name: room.name });
    } catch (error) {
      // This may be a private room too; joining will say more.
      if (/** @type {any} */ (error).status === 404 || /** @type {any} */ (error).status === 410) toast(problemText(error), "bad");
    }
  }

  close() {
    clearTimeout(this.#timer);
    this.#stopLanguage();
    this.#off.abort();
  }

  #renamed() {
    const { account } = this.#options;
    account.name = this.#name.value.trim();
    account.keep();
    if (account.name) this.#complain(false);
    this.#roomName.placeholder = account.name ? t("create.default", { name: account.name }) : "";
  }

  /** Is there a name? If not, say so and go there. */
  #named() {
    if (this.#options.account.name) return true;
    this.#complain(true);
    this.#name.focus();
    return false;
  }

  /** Say beside the field that a name is missing, or no longer. @param {boolean} missing */
  #complain(missing) {
    this.#name.setAttribute("aria-invalid", String(missing));
    const hint = byId("name-hint");
    hint.dataset.i18n = missing ? "name.missing" : "name.hint";
    hint.textContent = t(hint.dataset.i18n);
  }

  /** Show what is worn, and whether there are VRoid Hub's models to choose from. */
  showLooks() {
    const { presets, account, onLook } = this.#options;
    byId("hub-offer").hidden = !account.atHub;
    byId("hub-worn").textContent = account.model ? t("hub.worn", { title: account.model.title, author: account.model.author }) : "";
    byId("looks").replaceChildren(...presets.map(({ id, name }) => {
      const input = h("input", { type: "radio", name: "look", value: id, onchange: () => {
        account.look = id;
        account.model = null;
        account.keep();
        byId("hub-worn").textContent = "";
        onLook();
      } });
      input.checked = id === account.look && !account.model;
      return h("label", { class: `look look-${id}` }, input, h("span", { class: "swatch", "aria-hidden": "true" }), h("span", {}, name));
    }));
  }

  #showUses() {
    const chosen = this.#uses();
    byId("room-uses").replaceChildren(...USES.map((use) => {
      const box = h("input", { type: "checkbox", value: use });
      box.checked = chosen.includes(use);
      return h("label", { class: "check" }, box, h("span", {}, t(`use.${use}`)));
    }));
  }

  #uses() {
    return [.../** @type {NodeListOf<HTMLInputElement>} */ (byId("room-uses").querySelectorAll("input:checked"))].map(({ value }) => value);
  }

  async #makeRoom() {
    if (!this.#named()) return;
    this.#create.disabled = true;
    try {
      await this.#options.account.signIn();
      const isPrivate = /** @type {HTMLInputElement} */ (byId("room-private")).checked;
      const room = await this.#options.api.rooms.create({ name: this.#roomName.value.trim() || this.#roomName.placeholder, visibility: isPrivate ? "private" : "public", uses: this.#uses() });
      this.#options.enter(room.id);
    } catch (error) {
      toast(problemText(error), "bad");
    } finally {
      this.#create.disabled = false;
    }
  }

  /** Look for rooms after `ms`, and from then on regularly. @param {number} ms */
  #again(ms) {
    clearTimeout(this.#timer);
    if (this.#off.signal.aborted || document.hidden) return;
    this.#timer = setTimeout(async () => {
      await this.#refresh();
      this.#again(REFRESH_MS);
    }, ms);
  }

  async #refresh() {
    try {
      const { items } = await this.#options.api.rooms.list({ q: this.#search.value.trim() || undefined, limit: 50 });
      this.#rooms = items;
      this.#failed = false;
    } catch {
      this.#failed = true; // said in the note, and tried again
    }
    if (!this.#off.signal.aborted) this.#show();
  }

  #show() {
    const rooms = this.#rooms;
    const note = this.#failed ? t("rooms.refreshFailed") : rooms === null ? t("rooms.loading")
      : rooms.length ? "" : t(this.#search.value.trim() ? "rooms.noMatch" : "rooms.none");
    const place = byId("rooms-note");
    if (place.textContent !== note) place.textContent = note;
    if (!rooms) return;
    const list = byId("rooms");
    const focused = /** @type {HTMLElement | null} */ (document.activeElement)?.dataset.room;
    list.replaceChildren(...rooms.map((room) => this.#item(room)));
    if (focused) /** @type {HTMLElement | null} */ (list.querySelector(`[data-room="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {Room} room */
  #item(room) {
    const full = room.occupancy / room.capacity;
    const fill = h("span", { class: "fill" });
    fill.style.width = `${Math.min(100, full * 100)}%`;
    return h("li", {},
      h("div", { class: "room-words" },
        h("b", {}, room.name),
        room.description ? h("p", {}, room.description) : null,
        h("small", {}, t("rooms.count", { occupancy: room.occupancy, capacity: room.capacity }), room.locked ? ` · ${t("rooms.locked")}` : "",
          ...(room.uses ?? []).map((use) => ` · ${t(`use.${use}`)}`)),
        h("span", { class: "gauge", "aria-hidden": "true" }, fill)),
      h("button", { type: "button", class: "quiet", "data-room": `copy ${room.id}`, "aria-label": t("copyLink.named", { name: room.name }), onclick: () => copyLink({ roomId: room.id }) }, t("copyLink")),
      h("button", { type: "button", class: "primary", "data-testid": "join", "data-room": room.id, "aria-label": t("join.named", { name: room.name }),
        onclick: () => { if (this.#named()) this.#options.enter(room.id); } }, t("join")));
  }
}
