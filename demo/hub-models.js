/** VRoid Hub's models to choose from: shelves, pages, and what an author says of a model before it is worn. */

import { byId, h } from "./dom.js";
import { has, onLanguage, t } from "./i18n.js";
import { conditionLines, showLines } from "./licence.js";
import { problemText } from "./problems.js";

const SHELVES = ["mine", "hearts", "picks"];
const PAGE = 12;

/**
 * @typedef {import("../client/types.js").HubModel} HubModel
 * @typedef {{api: import("vchat-client").VChatApi, onWear: (avatar: import("../client/types.js").Avatar) => void}} HubOptions
 */

export class HubModels {
  #dialog = /** @type {HTMLDialogElement} */ (byId("hub"));
  #options;
  #shelf = SHELVES[0];
  /** @type {string | null} */
  #cursor = null;
  /** @type {HubModel[]} */
  #models = [];
  /** @type {HubModel | null} */
  #chosen = null;
  /** A newer question makes the answer to an older one worthless. */
  #asked = 0;

  /** @param {HubOptions} options */
  constructor(options) {
    this.#options = options;
    byId("hub-more").addEventListener("click", () => void this.#load());
    byId("hub-back").addEventListener("click", () => this.#choose(null));
    byId("hub-wear").addEventListener("click", () => void this.#wear());
    onLanguage(() => this.#show());
  }

  open() {
    this.#dialog.showModal();
    this.#turnTo(this.#shelf);
  }

  /** @param {string} shelf */
  #turnTo(shelf) {
    this.#shelf = shelf;
    this.#models = [];
    this.#cursor = null;
    this.#chosen = null;
    void this.#load();
  }

  async #load() {
    const mine = ++this.#asked;
    this.#say(t("hub.loading"));
    byId("hub-more").hidden = true;
    this.#show();
    try {
      const { items, nextCursor } = await this.#options.api.avatars.list({ source: this.#shelf, limit: PAGE, cursor: this.#cursor ?? undefined });
      if (mine !== this.#asked) return;
      this.#models.push(...items);
      this.#cursor = nextCursor;
      this.#say(this.#models.length ? "" : t("hub.none"));
      byId("hub-more").hidden = !nextCursor;
      byId("hub-more").textContent = t("hub.more");
      this.#show();
    } catch (error) {
      if (mine !== this.#asked) return;
      this.#say(hubProblem(error));
      byId("hub-more").hidden = false;
      byId("hub-more").textContent = t("again");
    }
  }

  async #wear() {
    const model = this.#chosen;
    if (!model) return;
    const button = /** @type {HTMLButtonElement} */ (byId("hub-wear"));
    button.disabled = true;
    this.#say(t("hub.asking"));
    try {
      const { avatar } = await this.#options.api.wear({ source: "vroid", id: model.id });
      this.#say("");
      this.#dialog.close();
      if (avatar) this.#options.onWear(avatar);
    } catch (error) {
      this.#say(hubProblem(error));
    } finally {
      button.disabled = false;
    }
  }

  /** @param {HubModel | null} model */
  #choose(model) {
    this.#chosen = model;
    this.#say("");
    this.#show();
    if (model) byId("hub-wear").focus();
  }

  #show() {
    byId("hub-shelves").replaceChildren(...SHELVES.map((shelf) => h("button", {
      type: "button", class: "quiet", "aria-pressed": String(shelf === this.#shelf), "data-testid": `hub-${shelf}`, onclick: () => this.#turnTo(shelf),
    }, t(`hub.${shelf}`))));
    const chosen = this.#chosen;
    byId("hub-list").hidden = chosen !== null;
    byId("hub-one").hidden = chosen === null;
    byId("hub-models").replaceChildren(...this.#models.map((model) => this.#item(model)));
    if (!chosen) return;
    byId("hub-title").textContent = chosen.title;
    byId("hub-author").textContent = t("hub.by", { author: chosen.author });
    showLines(byId("hub-conditions"), conditionLines(chosen.conditions));
    byId("hub-shared").textContent = forEveryone(chosen) ? "" : t("hub.notShared");
  }

  /** @param {HubModel} model */
  #item(model) {
    // The rule of the Hub: one's own models, and those that everyone may load.
    const wearable = forEveryone(model) || this.#options.api.user?.identities?.some(({ subject }) => subject === model.authorId);
    const picture = model.thumbnail ? h("img", { src: model.thumbnail, alt: "", width: 72, height: 72, loading: "lazy", referrerpolicy: "no-referrer" }) : null;
    picture?.addEventListener("error", () => picture.remove());
    return h("li", {}, h("button", { type: "button", class: "quiet model", "data-testid": "hub-model", disabled: !wearable, onclick: () => this.#choose(model) },
      picture, h("span", {}, h("b", {}, model.title), h("small", {}, t("hub.by", { author: model.author })), wearable ? null : h("small", {}, t("hub.notForOthers")))));
  }

  /** @param {string} text */
  #say(text) { byId("hub-note").textContent = text; }
}

/** What went wrong between here and the Hub, which is not this site's server. @param {any} error */
export function hubProblem(error) {
  const key = `hub.${error?.code}`;
  return has(key) ? t(key) : problemText(error);
}

/** @param {HubModel} model */
function forEveryone({ downloadable, conditions }) {
  return downloadable && conditions.avatarUse === "allowed";
}
