/** The page: who one is, which view is shown, and the address that says so. */

import { VChatApi } from "vchat-client";
import { Account } from "./account.js";
import { readAddress, writeAddress } from "./address.js";
import { byId } from "./dom.js";
import { whatDraws, drawing, offerDrawing } from "./drawing.js";
import { hubProblem, HubModels } from "./hub-models.js";
import { language, onLanguage, preferred, setLanguage, t } from "./i18n.js";
import { Lobby } from "./lobby.js";
import { claimSession } from "./own-session.js";
import { offerOwnAvatar } from "./own-vrm.js";
import { problemText } from "./problems.js";
import { RoomView } from "./room-view.js";
import { toast } from "./toasts.js";
import { presets } from "./vrm-files.js";
import { Wardrobe } from "./wardrobe.js";

// In the session's storage: two windows side by side are two people, and a reload is still the same one.
const base = document.querySelector('meta[name="vchat-api"]')?.getAttribute("content") ?? `${location.origin}/api`;
const api = new VChatApi(base, { storage: sessionStorage });
const account = new Account(api, base, () => {
  lobby?.lobby.showLooks();
  showBody();
});
const wardrobe = new Wardrobe(api, () => account.atHub, (error) => toast(t("problem.avatar", { detail: hubProblem(error) }), "bad"));
const models = new HubModels({ api, onWear: (avatar) => {
  account.wears(avatar);
  lobby?.lobby.showLooks();
  showBody();
} });
/** @type {import("./drawing.js").Drawn | null} */
let drawn = null;
/** @type {{lobby: Lobby, lineup: import("./lineup.js").Lineup | null} | null} */
let lobby = null;
/** @type {RoomView | null} */
let view = null;
/** @type {{id: string, name: string}[]} */
let looks = [];

globalThis.addEventListener("unhandledrejection", (event) => toast(problemText(event.reason), "bad"));

async function route() {
  const address = readAddress(location.hash);
  if (address && address.roomId === view?.roomId) return;
  const leaving = view?.leave();
  view = null;
  if (address && account.name) await enter(address);
  else showLobby(address);
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
    await account.signIn();
  } catch (error) {
    toast(problemText(error), "bad");
    showLobby({ roomId, invite });
    return;
  }
  if (readAddress(location.hash)?.roomId !== roomId || view) return;
  closeLobby();
  show("room");
  view = new RoomView({ roomId, invite, api, drawn, account, wardrobe, onLeft: () => { location.hash = "#/"; } });
  expose();
  byId(drawn ? "stage" : "chat-input").focus();
}

/** @param {import("./address.js").Address | null} invitedTo */
function showLobby(invitedTo) {
  const returning = document.body.dataset.view === "room";
  show("lobby");
  byId("stage").setAttribute("role", "img");
  byId("stage").tabIndex = -1;
  document.title = "V-Chat";
  byId("stage").setAttribute("aria-label", t("stage.lobby"));
  if (!lobby) {
    const lineup = drawn && new drawn.Lineup(drawn.stage, looks, (error) => toast(t("problem.avatar", { detail: String(error) }), "bad"));
    lobby = { lineup, lobby: new Lobby({ api, presets: looks, account, onLook: showBody, onModels: () => models.open(), enter: go }) };
    showBody();
    if (drawn) {
      const { stage } = drawn;
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

/** Have the lobby's stage show what is worn. */
function showBody() {
  const lineup = lobby?.lineup;
  lineup?.choose(account.look);
  lineup?.dress(wardrobe.hasFile || account.model ? wardrobe.body(account.model, account.look, { own: true }) : null);
  byId("own-offer").hidden = !wardrobe.hasFile;
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
      mouths: () => view?.mouths() ?? {},
      bodies: () => view?.bodies() ?? {},
    },
  });
}

/** @returns {Promise<import("./drawing.js").Drawn | null>} nothing if that was chosen, or there is no WebGL */
async function draw() {
  try {
    if (!whatDraws) return null;
    const { Stage, ...others } = await whatDraws;
    const dusk = matchMedia("(prefers-color-scheme: dark)").matches;
    return { stage: new Stage(/** @type {HTMLCanvasElement} */ (byId("stage")), { dusk, drawing }), ...others };
  } catch {
    toast(t("problem.webgl"), "bad"); // names, rooms and chat still work
    return null;
  }
}

async function start() {
  const session = claimSession(sessionStorage, navigator.locks);
  setLanguage(preferred(localStorage, navigator.languages));
  for (const button of document.querySelectorAll("button.language")) {
    button.addEventListener("click", () => setLanguage(language() === "en" ? "ja" : "en", localStorage));
  }
  onLanguage(() => { if (lobby) byId("stage").setAttribute("aria-label", t("stage.lobby")); });
  offerDrawing(byId("drawing"), localStorage);
  [drawn, looks] = await Promise.all([draw(), presets()]);
  document.body.dataset.drawing = drawn ? "" : "none";
  offerOwnAvatar(wardrobe, { canShow: drawn !== null, onChange: () => {
    view?.dress();
    showBody();
  } });
  if (!looks.some(({ id }) => id === account.look)) account.look = looks[Math.floor(Math.random() * looks.length)].id;
  addEventListener("hashchange", () => void route());
  await session;
  await account.open();
  await route();
}

await start();
