/** In a room: the SDK's events become avatars, words and signs of life. */

import { RoomClient } from "vchat-client";
import { Chat } from "./chat.js";
import { Controls, isBusy } from "./controls.js";
import { byId, h, icon } from "./dom.js";
import { EMOTES } from "./emotes.js";
import { OBSTACLES, ROOM_RADIUS } from "./ground.js";
import { onLanguage, t } from "./i18n.js";
import { copyLink, shareLink } from "./link.js";
import { Menu } from "./menu.js";
import { bytesText, Meter } from "./meter.js";
import { actsOnRoom, entriesOf, maySteer, newsOf } from "./moderation.js";
import { Motion } from "./motion.js";
import { People } from "./people.js";
import { placeOf } from "./places.js";
import { problemText, refusalText } from "./problems.js";
import { wrapped } from "./rotation.js";
import { toast } from "./toasts.js";
import { VoicePanel } from "./voice-panel.js";
import { Walker } from "./walker.js";

const MOODS = ["happy", "relaxed", "surprised", "sad", "angry"];
const PLACE = "vchat.place.";
const UNSEEN_MS = 100;
/** How far from straight ahead whoever one turns to is seen, radians: over one's shoulder, not through one's head. */
const ASIDE = 0.4;
/** Trying again would end the same way. */
const FINAL = ["banned", "kicked", "room-ended", "no-such-room", "room-not-found", "invite-required"];

/**
 * @typedef {{roomId: string, invite?: string, api: import("vchat-client").VChatApi, drawn: import("./drawing.js").Drawn | null,
 *   account: import("./account.js").Account, wardrobe: import("./wardrobe.js").Wardrobe, onLeft: () => void}} Options
 */

export class RoomView {
  room;
  roomId;
  #options;
  #meter = new Meter();
  /** @type {import("./crowd.js").Crowd | null} */
  #crowd = null;
  #chat;
  #people = new People((act) => void this.#moderate(act));
  #steer = new Menu("moderate-room");
  #refused = /** @type {HTMLDialogElement} */ (byId("refused"));
  /** Oneself, as last told. @type {import("../client/types.js").Member | null} */
  #known = null;
  #motion = new Motion();
  #walker = new Walker(ROOM_RADIUS, OBSTACLES);
  /** @type {VoicePanel | null} */
  #voice = null;
  /** @type {Controls | null} */
  #controls = null;
  #off = new AbortController();
  /** @type {(() => void)[]} */
  #stops = [];
  #nextPlaceAt = 0;
  #hasPlace = false;
  #hasTurned = false;

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.roomId = options.roomId;
    const { api, roomId, invite, drawn } = options;
    const elsewhere = new URLSearchParams(location.search).getAll("avoid"); // ?avoid=ws://… to look at a room from another relay
    /** @type {import("../client/types.js").GetTicket} */
    const getTicket = ({ avoid }) => api.ticket(roomId, { invite, avoid: avoid.length > 0 ? avoid : elsewhere });
    this.room = new RoomClient({ roomId, getTicket, storage: sessionStorage, WebSocket: this.#meter.socketClass });
    this.#appear(drawn?.stage);
    if (drawn) {
      const { stage, Crowd } = drawn;
      this.#crowd = new Crowd(this.room, stage, options.wardrobe, (error) => toast(t("problem.avatar", { detail: String(/** @type {any} */ (error)?.message ?? error) }), "bad"));
      this.#controls = new Controls(byId("stage"), byId("joystick"), stage);
      this.#stops.push(stage.onFrame((dt, now) => this.#frame(stage, dt, now)));
    } else {
      // Who sees nothing is still seen: standing, breathing, waving.
      const alive = setInterval(() => this.room.setPose(this.#motion.update(UNSEEN_MS / 1000, this.#walker, null)), UNSEEN_MS);
      this.#stops.push(() => clearInterval(alive));
    }
    if (options.account.voice) this.#voice = new VoicePanel({ room: this.room, api, roomId });
    byId("room-menu").replaceChildren(this.#steer.root);
    this.#chat = new Chat(this.room, (count) => this.#showUnread(count));
    this.#listen();
    this.#buttons();
    this.#stops.push(onLanguage(() => this.#words()));
    this.#words();
    const timer = setInterval(() => this.#showMeter(), 1_000);
    this.#stops.push(() => clearInterval(timer));
    byId("room-title").textContent = "";
    void this.#join();
  }

  /** @returns {Record<string, [number, number, number]>} */
  positions() { return this.#crowd?.positions() ?? {}; }

  mouths() { return this.#crowd?.mouths() ?? {}; }

  bodies() { return this.#crowd?.bodies() ?? {}; }

  /** Show oneself in what the wardrobe has now. */
  dress() { this.#crowd?.sync(this.#options.account); }

  /** Leave the room for good. */
  async leave() {
    sessionStorage.removeItem(PLACE + this.#options.roomId);
    this.close();
    await this.room.leave();
  }

  /** Take everything down that belongs to this view; the socket is `leave`'s. */
  close() {
    this.#off.abort();
    for (const stop of this.#stops) stop();
    this.#stops = [];
    this.#voice?.close();
    this.#controls?.close();
    this.#chat.close();
    this.#crowd?.close();
    this.#refused.close();
    this.#togglePanel(false);
  }

  async #join() {
    this.#refused.close();
    try {
      await this.room.join();
    } catch (error) {
      // A refusal has been shown by its state; anything else is a fault of getting there.
      if (!this.#off.signal.aborted && this.room.state !== "refused") this.#showRefusal(problemText(error), "");
    }
  }

  /** Stand where one stood before a reload. @param {import("./stage.js").Stage} [stage] */
  #appear(stage) {
    const before = kept(PLACE + this.#options.roomId);
    this.#hasTurned = this.#hasPlace = before !== null;
    this.#stand(stage, before ?? placeOf(0));
  }

  /** Stand at the place of one's seat, once. @param {import("./stage.js").Stage} [stage] */
  #arrive(stage) {
    if (this.#hasPlace) return;
    this.#hasPlace = true;
    this.#stand(stage, placeOf(this.room.seat ?? 0));
    this.room.setPose(this.#motion.update(0, this.#walker, null)); // before the one of the waiting time is sent
  }

  /** @param {import("./stage.js").Stage | undefined} stage @param {{x: number, z: number, yaw: number}} place */
  #stand(stage, place) {
    const walker = Object.assign(this.#walker, place);
    if (!stage) return;
    Object.assign(stage.view, { yaw: walker.yaw, pitch: 0.2, distance: 3.6 });
    stage.view.aim.set(walker.x, 1.05, walker.z);
    stage.cut();
  }

  #listen() {
    const { room } = this;
    const sync = () => {
      this.#tell();
      this.#showPeople();
      this.#crowd?.sync(this.#options.account);
    };
    room.on("state", ({ state, reason }) => {
      this.#showState();
      if (state === "refused" && reason) this.#showRefusal(refusalText(reason), reason.name);
    });
    room.on("welcome", () => {
      this.#arrive(this.#options.drawn?.stage);
      byId("room-title").textContent = room.room?.name ?? "";
      document.title = `${room.room?.name ?? ""} · V-Chat`;
      this.#chat.fill();
      sync();
    });
    room.on("recovered", ({ recovered }) => { if (!recovered) this.#chat.note(t("chat.gap")); });
    room.on("joined", (event) => {
      sync();
      if (event.userId !== room.user?.id) this.#chat.note(t("chat.joined", { name: event.name }));
    });
    room.on("left", (event) => {
      const name = this.#names.get(event.userId) ?? "";
      sync();
      const how = event.reason === "lost" || event.reason === "idle" ? event.reason : event.reason === "kicked" || event.reason === "banned" ? "kicked" : "left";
      if (event.userId !== room.user?.id && name) this.#chat.note(t(`chat.${how}`, { name }));
    });
    room.on("member", sync);
    room.on("room", () => {
      byId("room-title").textContent = room.room?.name ?? "";
      this.#showPeople();
    });
    room.on("chat", (event) => {
      this.#chat.said(event);
      if (!event.replayed) this.#crowd?.say(event.seat, event.text);
    });
    room.on("tick", () => { this.#meter.ticks++; });
    room.on("latency", ({ rttMs }) => { byId("latency").textContent = t("latency", { ms: Math.round(rttMs) }); });
    room.on("error", (error) => {
      if (error.code === "storage") toast(problemText(error), "bad");
      if (error.code === "too-fast" && error.retryMs) this.#chat.hold(error.retryMs);
    });
    const remember = () => { for (const { userId, name } of room.members.values()) this.#names.set(userId, name); };
    room.on("welcome", remember);
    room.on("joined", remember);
    addEventListener("pagehide", () => this.#keepPlace(), { signal: this.#off.signal });
  }
  /** @type {Map<string, string>} */
  #names = new Map();

  #buttons() {
    const { signal } = this.#off;
    /** @param {string} id @param {string} group @param {string[]} names @param {(name: string, button: HTMLButtonElement) => void} act */
    const row = (id, group, names, act) => {
      byId(id).replaceChildren(...names.map((name, i) => {
        const keys = `${group === "mood" ? "Shift+" : ""}${i + 1}`;
        const button = h("button", { type: "button", class: "quiet round", "aria-keyshortcuts": keys, "data-i18n-aria-label": `${group}.${name}`, "data-i18n-title": `${group}.${name}`,
          "aria-label": t(`${group}.${name}`), title: t(`${group}.${name}`), "data-testid": `${group}-${name}` }, icon(name));
        if (group === "mood") button.setAttribute("aria-pressed", "false");
        button.addEventListener("click", () => act(name, button));
        return button;
      }));
    };
    row("emotes", "emote", Object.keys(EMOTES), (name) => this.#motion.act(name));
    row("moods", "mood", MOODS, (name, pressed) => {
      this.#motion.feel(this.#motion.mood === name ? "" : name);
      for (const button of byId("moods").children) button.setAttribute("aria-pressed", String(button === pressed && this.#motion.mood === name));
    });
    byId("leave").addEventListener("click", () => this.#options.onLeft(), { signal });
    byId("copy").addEventListener("click", () => void this.#invite(copyLink), { signal });
    byId("share").addEventListener("click", () => void this.#invite(shareLink), { signal });
    byId("refused-again").addEventListener("click", () => this.#join(), { signal });
    this.#refused.addEventListener("cancel", () => this.#options.onLeft(), { signal }); // by Escape, for one
    byId("panel-toggle").addEventListener("click", () => this.#togglePanel(byId("room").dataset.panel !== "open"), { signal });
    addEventListener("keydown", (event) => this.#key(event), { signal });
    const dock = byId("dock");
    const watch = new ResizeObserver(() => byId("room").style.setProperty("--dock", `${dock.offsetHeight}px`));
    watch.observe(dock);
    this.#stops.push(() => watch.disconnect());
  }

  /** The way in for others: to a private room of one's own that takes an invitation. @param {(address: import("./address.js").Address) => Promise<void>} send */
  async #invite(send) {
    const { room, roomId, api, invite } = { room: this.room.room, ...this.#options };
    try {
      const mayInvite = (room?.visibility === "private" || room?.locked) && maySteer(this.#me);
      const made = mayInvite ? await api.request("POST", `/rooms/${encodeURIComponent(roomId)}/invites`, { body: {} }) : null;
      await send({ roomId, invite: made?.invite ?? invite });
    } catch (error) {
      toast(problemText(error), "bad");
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "Enter" && (target === document.body || target.id === "stage")) {
      event.preventDefault();
      this.#togglePanel(true);
      this.#chat.focus();
    }
    if (!isBusy(event) && !event.repeat) this.#shortcut(event);
    if (event.key === "Escape" && byId("room").contains(target) && !document.querySelector(":popover-open")) {
      this.#togglePanel(false);
      byId("stage").focus();
    }
  }

  /** Digits are gestures, with Shift faces. @param {KeyboardEvent} event */
  #shortcut({ key, code, shiftKey }) {
    const digit = /^Digit([1-9])$/.exec(code);
    if (digit && key !== "?") /** @type {HTMLElement | undefined} */ (byId(shiftKey ? "moods" : "emotes").children[Number(digit[1]) - 1])?.click();
    if (key !== "?") return;
    for (const leaving of byId("help").getAnimations()) leaving.currentTime = 0;
  }

  /** @param {boolean} open on narrow screens; wide ones always show it */
  #togglePanel(open) {
    byId("room").dataset.panel = open ? "open" : "";
    byId("panel-toggle").setAttribute("aria-expanded", String(open));
    if (open) this.#chat.read();
  }

  /** @param {number} count */
  #showUnread(count) {
    const badge = byId("unread");
    badge.hidden = count === 0;
    badge.textContent = String(count);
    badge.setAttribute("aria-label", t("chat.unread", { count }));
  }

  #words() {
    byId("stage").setAttribute("aria-label", t("stage"));
    byId("stage").setAttribute("role", "application"); // keys are steps there, also for a screen reader's user
    byId("stage").tabIndex = 0;
    this.#showState();
    this.#showPeople();
  }

  #showPeople() {
    const { room } = this.room;
    this.#people.show(this.room.members.values(), this.room.user?.id, this.#options.account.atHub);
    this.#steer.offer(t("moderate.room"), entriesOf(actsOnRoom(this.#me, room), (act) => void this.#moderate(act)));
    byId("room-rules").textContent = [
      room?.locked ? t("rooms.locked") : "",
      room && room.slowModeS > 0 ? t("room.slow", { seconds: room.slowModeS }) : "",
      ...(room?.uses ?? []).map((use) => t(`use.${use}`)),
    ].filter(Boolean).join(" · ");
    this.#voice?.show();
    this.#chat.permit();
  }

  /** Tell what was done about oneself. */
  #tell() {
    const me = this.#me;
    for (const news of this.#known && me ? newsOf(this.#known, me) : []) {
      this.#chat.note(t(news), { aloud: false });
      toast(t(news), ["you.muted", "you.spectator"].includes(news) ? "bad" : "good");
    }
    this.#known = me ?? this.#known;
  }

  get #me() { return this.room.members.get(this.room.seat ?? -1); }

  /** @param {import("./moderation.js").Act & {userId?: string}} act */
  async #moderate(act) {
    const { api } = this.#options;
    try {
      if (act.action !== "end") await api.request("POST", `/rooms/${this.roomId}/moderation`, { body: act });
      else await api.rooms.end(this.roomId);
    } catch (error) {
      toast(problemText(error), "bad");
    }
  }

  #showState() {
    const { state } = this.room;
    const place = byId("state");
    byId("room").dataset.state = place.dataset.state = state;
    const text = t(state === "joined" && this.room.way === "fallback" ? "state.fallback" : `state.${state}`);
    if (place.textContent !== text) place.textContent = text;
    this.#voice?.show();
    this.#chat.permit();
    if (state !== "joined" && state !== "migrating") byId("latency").textContent = "";
  }

  #showMeter() {
    const rates = this.#meter.read();
    if (!rates) return;
    const values = { down: bytesText(rates.down), up: bytesText(rates.up), hz: Math.round(rates.hz) };
    const place = byId("meter");
    place.textContent = `↓ ${values.down}/s ↑ ${values.up}/s · ${values.hz} Hz`;
    place.title = t("meter", values);
  }

  /** @param {string} text @param {string} name of the close code, if there is one */
  #showRefusal(text, name) {
    byId("refused-text").textContent = text;
    const again = byId("refused-again");
    again.hidden = FINAL.includes(name);
    again.textContent = t(name === "replaced" ? "here" : "again");
    if (!this.#refused.open) this.#refused.showModal();
    byId("refused-title").focus();
    this.#showState();
  }

  /** @param {import("./stage.js").Stage} stage @param {number} dt @param {number} now */
  #frame(stage, dt, now) {
    const walker = this.#walker;
    const wish = this.#controls?.wish(dt) ?? { x: 0, y: 0, run: false };
    this.#turn(stage, wish);
    walker.step(dt, wish, stage.view.yaw);
    const interest = this.#crowd?.nearest(walker.x, walker.z) ?? { yaw: stage.view.yaw, pitch: stage.view.pitch * 0.5 - 0.1 };
    const pose = this.#motion.update(dt, walker, interest);
    this.room.setPose(pose);
    this.#crowd?.frame(dt, pose, (userId) => this.#voice?.level(userId) ?? 0);
    stage.view.aim.set(walker.x, 1.05, walker.z);
    stage.view.shift = innerWidth > 860 ? -340 : 0;
    if (now > this.#nextPlaceAt) {
      this.#nextPlaceAt = now + 1_000;
      this.#keepPlace();
    }
  }

  /** Who stands where they came in turns to the first person they see. @param {import("./stage.js").Stage} stage @param {{x: number, y: number}} wish */
  #turn(stage, wish) {
    if (this.#hasTurned) return;
    const [walker, somebody] = [this.#walker, this.#crowd?.nearest(this.#walker.x, this.#walker.z, Infinity)];
    const busy = wish.x !== 0 || wish.y !== 0 || stage.view.yaw !== walker.yaw;
    if (somebody && !busy) {
      walker.yaw = somebody.yaw;
      stage.view.yaw += wrapped(somebody.yaw - ASIDE - stage.view.yaw);
    }
    this.#hasTurned = Boolean(somebody) || busy;
  }

  #keepPlace() {
    if (this.#off.signal.aborted || !this.#hasPlace) return;
    const { x, z, yaw } = this.#walker;
    try {
      sessionStorage.setItem(PLACE + this.#options.roomId, JSON.stringify({ x, z, yaw }));
    } catch { /* a full storage: after a reload one stands elsewhere, nothing more */ }
  }
}

/** @param {string} key @returns {{x: number, z: number, yaw: number} | null} */
function kept(key) {
  try {
    const place = JSON.parse(sessionStorage.getItem(key) ?? "null");
    return place && [place.x, place.z, place.yaw].every(Number.isFinite) ? { x: place.x, z: place.z, yaw: place.yaw } : null;
  } catch {
    return null;
  }
}
