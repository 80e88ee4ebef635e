/** The page: who one is, which view is shown, and the address that says so. */

import { VChatApi } from "vchat-client";
import { readAddress, writeAddress } from "./address.js";
import { byId } from "./dom.js";
import { language, onLanguage, preferred, setLanguage, t } from "./i18n.js";
import { Lineup } from "./lineup.js";
import { Lobby } from "./lobby.js";
import { problemText } from "./problems.js";
import { RoomView } from "./room-view.js";
import { wayBack, wayOut } from "./sign-in.js";
import { Stage } from "./stage.js";
import { toast } from "./toasts.js";
import { presets } from "./vrm-files.js";

const NAME = "vchat.name";
const LOOK = "vchat.look";
/** What the server knows of this window's account: a reload need not say it again. */
const TOLD = "vchat.told";

// In the session's storage: two windows side by side are two people, and a reload is still the same one.
const base = document.querySelector('meta[name="vchat-api"]')?.getAttribute("content") ?? `${location.origin}/api`;
const api = new VChatApi(base, { storage: sessionStorage });
const self = { name: localStorage.getItem(NAME) ?? "", look: localStorage.getItem(LOOK) ?? "" };
/** @type {Stage | null} */
let stage = null;
/** @type {{lobby: Lobby, lineup: Lineup | null} | null} */
let lobby = null;
/** @type {RoomView | null} */
let view = null;
/** @type {{id: string, name: string}[]} */
let looks = [];

globalThis.addEventListener("unhandledrejection", (event) => toast(problemText(event.reason), "bad"));

/** Be somebody: signed in, with the name and look chosen here. */
async function signIn() {
  const now = { ...self };
  let told = api.signedIn ? JSON.parse(sessionStorage.getItem(TOLD) ?? "{}") : {};
  if (!api.signedIn) {
    await api.guest(now.name);
    told = { name: now.name };
  }
  if (told.name !== now.name) await api.updateMe({ name: now.name });
  if (told.look !== now.look) await api.request("PUT", "/me/avatar", { body: { source: "preset", id: now.look } });
  sessionStorage.setItem(TOLD, JSON.stringify(now));
}

/** Come back from VRoid Hub, if that is where the page was; and offer to go there, if the server does. */
async function offerHub() {
  const back = wayBack(location, sessionStorage);
  if (back) history.replaceState(null, "", `${location.origin}/`);
  try {
    if (back && "code" in back) {
      const user = await api.exchange("vroid", back.code);
      self.name ||= user.name;
      keepSelf();
      sessionStorage.setItem(TOLD, JSON.stringify({ name: user.name }));
    } else if (back) {
      toast(t("signIn.failed"), "bad");
    }
    const { signIn: ways } = await api.request("GET", "/auth/providers", { anonymous: true });
    byId("sign-in").hidden = !ways.includes("vroid");
  } catch (error) {
    toast(problemText(error), "bad"); // one can still come as a guest
  }
  byId("sign-in-button").addEventListener("click", () => void (atHub() ? signOut() : location.assign(wayOut(location.origin, sessionStorage))));
  onLanguage(showHub);
  showHub();
}

function atHub() {
  return api.user?.identities?.some(({ provider }) => provider === "vroid") ?? false;
}

async function signOut() {
  sessionStorage.removeItem(TOLD);
  await api.logout().catch((error) => toast(problemText(error), "bad"));
  showHub();
}

function showHub() {
  byId("sign-in-note").textContent = atHub() ? t("signIn.as", { name: api.user?.name ?? "" }) : "";
  byId("sign-in-button").textContent = t(atHub() ? "signIn.out" : "signIn");
}

async function route() {
  const address = readAddress(location.hash);
  if (address && address.roomId === view?.roomId) return;
  const leaving = view?.leave();
  view = null;
  if (address && self.name) await enter(address);
  else showLobby(address?.roomId ?? null);
  await leaving?.catch((error) => toast(problemText(error), "bad"));
}

/** Go to a room by its address. @param {string} roomId */
function go(roomId) {
  const there = readAddress(location.hash);
  if (there?.roomId === roomId) void enter(there);
  else location.hash = writeAddress({ roomId }); // comes back as a change of the address
}

/** @param {import("./address.js").Address} address the page's own */
async function enter({ roomId, invite }) {
  try {
    await signIn();
  } catch (error) {
    toast(problemText(error), "bad");
    showLobby(roomId);
    return;
  }
  if (readAddress(location.hash)?.roomId !== roomId || view) return;
  closeLobby();
  show("room");
  view = new RoomView({ roomId, invite, api, stage, look: self.look, onLeft: () => { location.hash = "#/"; } });
  expose();
  byId("stage").focus();
}

/** @param {string | null} invitedTo */
function showLobby(invitedTo) {
  const returning = document.body.dataset.view === "room";
  show("lobby");
  document.title = "V-Chat";
  byId("stage").setAttribute("aria-label", t("stage.lobby"));
  if (!lobby) {
    const lineup = stage && new Lineup(stage, looks, (error) => toast(t("problem.avatar", { detail: String(error) }), "bad"));
    lineup?.choose(self.look);
    lobby = {
      lineup,
      lobby: new Lobby({ api, presets: looks, self, onLook: (id) => lineup?.choose(id), onSelf: keepSelf, enter: go, signIn }),
    };
    if (stage) {
      Object.assign(stage.view, { yaw: Math.PI, pitch: 0.1, distance: 5.4, shift: 0 });
      stage.view.aim.set(0, 0.83, 0);
      stage.cut();
    }
  }
  void lobby.lobby.invite(invitedTo);
  if (returning) byId("lobby-title").focus();
  expose();
}

function closeLobby() {
  lobby?.lobby.close();
  lobby?.lineup?.close();
  lobby = null;
}

/** @param {"lobby" | "room"} name */
function show(name) {
  document.body.dataset.view = name;
  byId("lobby").hidden = name !== "lobby";
  byId("room").hidden = name !== "room";
}

function keepSelf() {
  localStorage.setItem(NAME, self.name);
  localStorage.setItem(LOOK, self.look);
}

/** For whoever looks from the console, and for tests in a browser. */
function expose() {
  Object.defineProperty(globalThis, "vchat", {
    configurable: true,
    value: {
      api,
      get room() { return view?.room ?? null; },
      get state() { return view?.room.state ?? "idle"; },
      positions: () => view?.positions() ?? {},
    },
  });
}

async function start() {
  setLanguage(preferred(localStorage, navigator.languages));
  for (const button of document.querySelectorAll("button.language")) {
    button.addEventListener("click", () => setLanguage(language() === "en" ? "ja" : "en", localStorage));
  }
  onLanguage(() => { if (lobby) byId("stage").setAttribute("aria-label", t("stage.lobby")); });
  try {
    stage = new Stage(/** @type {HTMLCanvasElement} */ (byId("stage")), {
      dusk: matchMedia("(prefers-color-scheme: dark)").matches,
      steady: new URLSearchParams(location.search).has("steady"),
    });
  } catch {
    toast(t("problem.webgl"), "bad"); // names, rooms and chat still work
  }
  looks = await presets();
  if (!looks.some(({ id }) => id === self.look)) self.look = looks[Math.floor(Math.random() * looks.length)].id;
  addEventListener("hashchange", () => void route());
  await offerHub();
  await route();
}

await start();
