/** Who one is: a guest or somebody of VRoid Hub, with a name and a look, and what the server was told of them. */

import { byId } from "./dom.js";
import { onLanguage, t } from "./i18n.js";
import { problemText } from "./problems.js";
import { wayBack, wayOut } from "./sign-in.js";
import { toast } from "./toasts.js";

const NAME = "vchat.name";
const LOOK = "vchat.look";
/** What the server knows of this window's account: a reload need not say it again. */
const TOLD = "vchat.told";

/** @typedef {import("../client/types.js").Avatar} Avatar */

export class Account {
  name = localStorage.getItem(NAME) ?? "";
  /** The preset chosen here; under a model of VRoid Hub it is what one falls back to. */
  look = localStorage.getItem(LOOK) ?? "";
  /** A model of VRoid Hub that is worn instead. @type {Avatar | null} */
  model = null;
  /** Whether rooms have voice here. */
  voice = false;
  #api;
  #base;
  #onChange;

  /** @param {import("vchat-client").VChatApi} api @param {string} base where the functions answer @param {() => void} onChange signed in or out */
  constructor(api, base, onChange) {
    this.#api = api;
    this.#base = base;
    this.#onChange = onChange;
  }

  /** @returns {Avatar} */
  get avatar() { return this.model ?? { source: "preset", id: this.look }; }

  get atHub() { return this.#api.user?.identities?.some(({ provider }) => provider === "vroid") ?? false; }

  /** Come back, from VRoid Hub or by a reload, and offer the ways to sign in that this server has. */
  async open() {
    const page = location.origin + location.pathname;
    const back = wayBack(location, sessionStorage);
    if (back) history.replaceState(null, "", page);
    try {
      if (back && "code" in back) {
        const user = await this.#api.exchange("vroid", back.code);
        this.name ||= user.name;
        this.keep();
        sessionStorage.setItem(TOLD, told(user.name, user.avatar));
      } else if (back) {
        toast(t("signIn.failed"), "bad");
      }
      if (this.#api.signedIn && !this.#api.user) await this.#return();
      if (this.#api.user?.avatar?.source === "vroid") this.model = this.#api.user.avatar;
      const { signIn, voice } = await this.#api.request("GET", "/auth/providers", { anonymous: true });
      byId("sign-in").hidden = !signIn.includes("vroid");
      this.voice = voice;
    } catch (error) {
      toast(problemText(error), "bad"); // one can still come as a guest
    }
    byId("sign-in-button").addEventListener("click", () =>
      void (this.atHub ? this.#signOut() : location.assign(wayOut(page, this.#base, sessionStorage))));
    onLanguage(() => this.#show());
    this.#show();
  }

  /** Go on as who one was before a reload; a sign-in that is over makes a guest of one, without a word. */
  async #return() {
    try {
      await this.#api.me();
    } catch (error) {
      if (this.#api.signedIn) throw error;
      sessionStorage.removeItem(TOLD);
    }
  }

  /** Be somebody: signed in, with the name and look chosen here. */
  async signIn() {
    const { name, avatar } = this;
    if (!this.#api.signedIn) {
      await this.#api.guest(name);
      sessionStorage.setItem(TOLD, told(name, null));
    }
    const [knownName, source, id] = JSON.parse(sessionStorage.getItem(TOLD) ?? "[]");
    if (name !== knownName) await this.#api.updateMe({ name });
    if (avatar.source !== source || avatar.id !== id) await this.#api.wear({ source: avatar.source, id: avatar.id });
    sessionStorage.setItem(TOLD, told(name, avatar));
  }

  /** A model of VRoid Hub was put on, and the server knows. @param {Avatar} model */
  wears(model) {
    this.model = model;
    const [name] = JSON.parse(sessionStorage.getItem(TOLD) ?? "[]");
    sessionStorage.setItem(TOLD, told(name, model));
  }

  /** Remember name and look in this browser. */
  keep() {
    localStorage.setItem(NAME, this.name);
    localStorage.setItem(LOOK, this.look);
  }

  async #signOut() {
    sessionStorage.removeItem(TOLD);
    this.model = null; // it was theirs by that sign-in
    await this.#api.logout().catch((error) => toast(problemText(error), "bad"));
    this.#show();
  }

  #show() {
    byId("sign-in-note").textContent = this.atHub ? t("signIn.as", { name: this.#api.user?.name ?? "" }) : "";
    byId("sign-in-button").textContent = t(this.atHub ? "signIn.out" : "signIn");
    this.#onChange();
  }
}

/** @param {string | undefined} name @param {Avatar | null} avatar */
function told(name, avatar) {
  return JSON.stringify([name, avatar?.source, avatar?.id]);
}
