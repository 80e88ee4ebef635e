/** A person's stay in one room, as a page sees it. */

import { Attention, pageHidden } from "./attention.js";
import { systemClock } from "./clock.js";
import { Emitter } from "./emitter.js";
import { Journal } from "./journal.js";
import { Link } from "./link.js";
import { chatMessage, signalMessage } from "./messages.js";
import { Outbox } from "./outbox.js";
import { PoseTraffic } from "./pose-traffic.js";
import { RoomError } from "./room-error.js";
import { RoomLog } from "./room-log.js";
import { SessionRefresh } from "./session-refresh.js";
import { pageEvents } from "./wake.js";
import { Ways } from "./ways.js";

/** The room's events that a page can listen to; others are taken in silently. */
const EVENTS = new Set(["joined", "left", "chat", "signal", "member", "room", "ended"]);

/**
 * @typedef {object} RoomOptions
 * @property {string} roomId
 * @property {import("./types.js").GetTicket} getTicket asked whenever a new ticket is needed; what it throws with a `status`
 *   from 400 to 499 (an `ApiError`) ends in `refused`, other failures are tried again
 * @property {import("./types.js").KeyValueStore | null} [storage] `sessionStorage`, so that a reload goes on where the page was
 * @property {import("./types.js").SocketClass} [WebSocket] to be given where the platform has none, as Node before 22
 * @property {typeof globalThis.fetch | null} [fetch] for networks without WebSocket; `null`: not even then
 * @property {import("./types.js").Clock} [clock]
 * @property {() => number} [random] uniform in [0, 1)
 * @property {EventTarget | null} [wake] where `online`, `pageshow`, `visibilitychange`, `resume` and people's touches are heard; the window
 * @property {() => boolean} [hidden] whether nobody can see the page
 * @property {boolean} [doze] `false` keeps the socket while nobody attends to the page: for pages that tell of chats in the background
 */

export class RoomClient {
  #emitter = /** @type {Emitter<import("./types.js").RoomEvents>} */ (new Emitter());
  #log = new RoomLog();
  #journal;
  #link;
  #outbox;
  #refresh;
  #poses;
  #attention;
  #mayDoze;
  /** @type {import("./types.js").State} */
  #state = "idle";
  /** @type {import("./types.js").Welcome | null} */
  #welcome = null;
  #returning = false;
  /** @type {{promise: Promise<import("./types.js").Welcome>, resolve: (welcome: import("./types.js").Welcome) => void, reject: (error: RoomError) => void} | null} */
  #joining = null;
  /** @type {{promise: Promise<void>, done: () => void} | null} */
  #leaving = null;

  /** @param {RoomOptions} options @throws {RoomError} where there is no WebSocket */
  constructor({ roomId, getTicket, storage = null, WebSocket = globalThis.WebSocket, fetch = globalThis.fetch, clock = systemClock, random = Math.random,
    wake = pageEvents(), hidden = pageHidden, doze = true }) {
    // Node before 22 has none; a ticket's address would be blamed for it.
    if (!WebSocket) throw new RoomError("no-websocket", "No WebSocket here: pass { WebSocket }, such as that of the package ws.");
    this.#journal = new Journal(storage, roomId, (cause) =>
      this.#fail(new RoomError("storage", `A reload will not be able to go on here: ${cause}`, { cause })));
    const ways = new Ways({
      WebSocket, fetch, clock,
      kept: this.#journal.fallback(),
      keep: (only) => this.#journal.keepFallback(only),
    });
    this.#link = new Link({ getTicket, ways, clock, random, wake, events: {
      position: () => this.#log.position(),
      state: (state) => this.#enter(state),
      welcomed: (welcome, resumedAt) => this.#welcomed(welcome, resumedAt),
      frame: (frame) => this.#frame(frame),
      binary: (buffer) => this.#poses.receive(buffer, this.members),
      nonsense: (detail) => this.#fail(new RoomError("bad-frame", detail)),
      disconnected: () => this.#disconnected(),
      seatChanged: () => this.#keepPlace(),
    } });
    this.#outbox = new Outbox({
      clock,
      send: (message) => this.#link.current?.send(message),
      changed: () => this.#outboxChanged(),
    });
    this.#refresh = new SessionRefresh({
      getTicket, clock,
      send: (frame) => this.#link.current?.send(frame),
      report: (error) => this.#fail(error),
    });
    this.#poses = new PoseTraffic({
      clock,
      firstSeq: this.#journal.poseSeq(),
      reserve: (upTo) => this.#journal.keepPoseSeq(upTo),
      connection: () => this.#link.current,
      emit: (type, payload) => this.#emitter.emit(type, payload),
    });
    this.#mayDoze = doze;
    this.#attention = new Attention({ target: wake, hidden, clock, tired: () => this.#tired(), attended: () => this.wake() });
  }

  get state() { return this.#state; }
  /** Who is in the room, by seat, yourself included. @returns {ReadonlyMap<number, import("./types.js").Member>} */
  get members() { return this.#log.members; }
  /** The last 50 chat events, oldest first. @returns {readonly import("./types.js").ChatEvent[]} */
  get history() { return this.#log.history; }
  get room() { return this.#log.room; }
  get epoch() { return this.#log.epoch; }
  /** The last event processed. */
  get offset() { return this.#log.offset; }
  get seat() { return this.#welcome?.seat ?? null; }
  get user() { return this.#welcome?.user ?? null; }
  get role() { return this.#log.members.get(this.#welcome?.seat ?? -1)?.role ?? this.#welcome?.role ?? null; }
  /** Messages the room has not confirmed yet. */
  get pending() { return this.#outbox.pending; }
  /** How the room is reached right now. @returns {"socket" | "fallback" | null} */
  get way() { return this.#link.way; }
  get latency() { return this.#poses.latency; }

  /** @returns {number} the relay's clock, ms since the epoch, as well as it can be known from here; ours before the first welcome */
  serverNow() {
    return this.#poses.serverNow();
  }

  /**
   * @template {keyof import("./types.js").RoomEvents} T
   * @param {T} type
   * @param {(payload: import("./types.js").RoomEvents[T]) => void} listener
   * @returns {() => void} stops it
   */
  on(type, listener) {
    return this.#emitter.on(type, listener);
  }

  /**
   * Enter the room, or go on where the page was before a reload. Doing it twice is once.
   * @returns {Promise<import("./types.js").Welcome>} the first welcome
   * @throws {RoomError} (as a rejection) when refused, `code` being the reason's name, or `left` meanwhile
   */
  join() {
    if (this.#leaving) return this.#leaving.promise.then(() => this.join());
    if (this.#joining) return this.#joining.promise;
    /** @type {any} */
    const joining = {};
    joining.promise = new Promise((resolve, reject) => Object.assign(joining, { resolve, reject }));
    this.#joining = joining;
    const place = this.#journal.place();
    this.#log = new RoomLog();
    if (place) this.#log.restore(place, this.#journal.history());
    this.#returning = place !== null;
    for (const { message, ...kept } of this.#journal.messages()) {
      // Nobody holds the promise any more: the page that made it is gone.
      this.#outbox.add(message, kept).catch((error) => this.#fail(error));
    }
    this.#attention.open();
    this.#link.start(place?.seat ?? null);
    return joining.promise;
  }

  /** Give up the seat at once. @returns {Promise<void>} ends when the socket is closed */
  leave() {
    if (!this.#joining) return Promise.resolve();
    if (this.#leaving) return this.#leaving.promise;
    let done = () => {};
    const promise = /** @type {Promise<void>} */ (new Promise((resolve) => { done = resolve; }));
    this.#leaving = { promise, done };
    this.#link.leave();
    return promise;
  }

  /**
   * @param {string} text 1 to `limits.textLength` (2000) code points
   * @returns {Promise<{offset: number}>} when the room has stored it
   * @throws {RoomError} (as a rejection)
   */
  async sendChat(text) {
    return this.#post(chatMessage(text, this.#welcome?.limits?.textLength));
  }

  /**
   * The application's own event.
   * @param {string} name 1 to 64 characters
   * @param {unknown} data anything JSON, at most 4 KiB of it
   * @param {{ephemeral?: boolean}} [options] ephemeral: to those who are there right now, not stored, nothing if we are offline
   * @returns {Promise<{offset: number} | null>} `null` for an ephemeral one
   * @throws {RoomError} (as a rejection)
   */
  async sendSignal(name, data, { ephemeral = false } = {}) {
    const message = signalMessage(name, data);
    if (!ephemeral) return this.#post(message);
    this.#attention.touch();
    this.#link.current?.send({ ...message, ephemeral });
    return null;
  }

  /** @param {import("./pose.js").Pose} pose your avatar's newest; call it as often as you draw, with the same object if you like */
  setPose(pose) {
    this.#poses.set(pose);
  }

  /** @param {import("./outbox.js").Message} message */
  #post(message) {
    if (!this.#joining) throw new RoomError("not-joined", "Join the room first.");
    this.#attention.touch();
    const stored = this.#outbox.add(message);
    this.wake();
    return stored;
  }

  /** Come back from dozing, as if somebody had touched the page: for input that is no event of the page, such as a gamepad's. */
  wake() {
    this.#attention.touch();
    this.#link.wake();
  }

  #tired() {
    // Who talks in the voice call is here, whatever the hands do; and what waits to be stored needs the socket.
    const calling = this.#log.members.get(this.#welcome?.seat ?? -1)?.voice;
    if (!calling && this.#outbox.pending === 0) this.#link.doze();
  }

  /** @param {import("./types.js").Welcome} welcome @param {number | null} resumedAt */
  #welcomed(welcome, resumedAt) {
    if (!this.#log.welcome(welcome, resumedAt)) return false;
    this.#welcome = welcome;
    this.#journal.keepHistory(this.#log.history);
    this.#keepPlace();
    this.#poses.welcomed(welcome);
    this.#refresh.extended(welcome.expiresIn);
    const returned = this.#returning;
    this.#returning = true;
    this.#emitter.emit("welcome", welcome);
    if (returned) this.#emitter.emit("recovered", { recovered: welcome.recovered });
    this.#poses.start(welcome);
    this.#outbox.connected();
    if (this.#mayDoze) this.#attention.watch(welcome.doze);
    return true;
  }

  #disconnected() {
    this.#attention.rest();
    this.#poses.stop();
    this.#refresh.stop();
    this.#outbox.disconnected();
  }

  /** @param {{type: string, [field: string]: any}} frame */
  #frame(frame) {
    switch (frame.type) {
      case "ack": return this.#stored(frame.id, frame.offset);
      case "error": return this.#refused(frame);
      case "migrate": return this.#link.migrate(Number(frame.afterMs) || 0);
      case "refreshed":
        if (typeof frame.resume === "string") this.#link.renewSeat(frame.resume, this.#refresh.url);
        return this.#refresh.extended(frame.expiresIn);
    }
    if (Number.isSafeInteger(frame.offset)) return this.#event(frame);
    if (frame.type === "signal") this.#emitter.emit("signal", /** @type {any} */ (frame));
  }

  /** @param {{type: string, [field: string]: any}} event */
  #event(event) {
    const news = this.#log.take(event);
    if (news === "known") return;
    if (news === "gap") return this.#link.distrust(`Event ${event.offset} came after ${this.#log.offset}.`);
    if (event.type === "chat") this.#journal.keepHistory(this.#log.history);
    this.#keepPlace();
    if (event.type === "left" && !event.replayed) this.#poses.drop(event.seat);
    if (EVENTS.has(event.type)) this.#emitter.emit(/** @type {any} */ (event.type), event);
    if (event.userId === this.#welcome?.user.id && typeof event.id === "string") this.#outbox.stored(event.id, event.offset);
  }

  /** @param {unknown} id @param {unknown} offset */
  #stored(id, offset) {
    if (typeof id !== "string" || !Number.isSafeInteger(offset)) return this.#fail(new RoomError("bad-frame", "An ack lacks its id or offset."));
    const rttMs = this.#outbox.stored(id, /** @type {number} */ (offset));
    if (rttMs !== null) this.#poses.acked(rttMs);
  }

  /** @param {{[field: string]: any}} frame an `error` */
  #refused({ id, code, detail, retryMs }) {
    const error = new RoomError(String(code), String(detail ?? ""), { retryMs: typeof retryMs === "number" ? retryMs : undefined });
    if (!this.#outbox.refused(id, error) || error.retryMs !== undefined) this.#fail(error);
  }

  #keepPlace() {
    const position = this.#log.position();
    if (position) this.#journal.keepPlace({ seat: this.#link.seat, ...position });
  }

  #outboxChanged() {
    if (this.#joining) this.#journal.keepMessages(this.#outbox.kept());
    this.#emitter.emit("queue", { pending: this.#outbox.pending });
  }

  /** @param {import("./link.js").LinkState} next */
  #enter({ state, reason, retryInMs }) {
    const previous = this.#state;
    this.#state = state;
    const over = state === "left" || state === "refused";
    const joining = this.#joining;
    if (over) {
      const error = state === "left" ? new RoomError("left", "You left the room.") : new RoomError(reason?.name ?? state, reason?.detail ?? "");
      this.#joining = null;
      this.#attention.close();
      this.#journal.forget();
      this.#outbox.abandon(error);
      joining?.reject(error);
    }
    if (state !== previous || reason) this.#emitter.emit("state", { state, previous, reason, retryInMs });
    if (state === "joined" && this.#welcome) joining?.resolve(this.#welcome);
    if (over && this.#leaving) {
      this.#leaving.done();
      this.#leaving = null;
    }
  }

  /** @param {RoomError} error */
  #fail(error) {
    this.#emitter.emit("error", error);
  }
}
