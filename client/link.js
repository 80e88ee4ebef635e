/**
 * From one socket to the next: tickets, resuming, backoff, migration.
 *
 * At most two connections live at a time: the current one, and a candidate whose welcome makes it the current one. So leaving a relay
 * that goes away and coming back after a loss are the same step, with and without an old connection underneath.
 */

import { backoffMs, BASE_MS } from "./backoff.js";
import { DOZE, LOST, REPLACED, reasonFor } from "./close-codes.js";
import { Connection } from "./connection.js";
import { freshTicket, ticketRefusal } from "./tickets.js";
import { onWake } from "./wake.js";

/** A connection that lived this long was a good one: the next failure starts the backoff anew. */
const STABLE_MS = 10_000;
/** After so many failed returns the relay's address itself is in doubt: ask for a new one. */
const ASK_FOR_ADDRESS_AFTER = 3;
/** What a request for a ticket may hold. */
const MOST_AVOIDED = 8;
/** Of the protocol that this client speaks. */
const VERSION = 3;

/**
 * @typedef {{state: "connecting" | "joining" | "joined" | "migrating" | "reconnecting" | "dozing" | "left" | "refused",
 *   reason?: import("./types.js").Reason, retryInMs?: number}} LinkState
 * @typedef {{
 *   position(): {epoch: string, offset: number} | null,
 *   state(state: LinkState): void,
 *   welcomed(welcome: import("./types.js").Welcome, resumedAt: number | null): boolean,
 *   frame(frame: {type: string, [field: string]: any}): void,
 *   binary(buffer: ArrayBuffer): void,
 *   nonsense(detail: string): void,
 *   disconnected(): void,
 *   seatChanged(): void,
 * }} LinkEvents  `welcomed` answers whether the welcome fits what is known; `resumedAt` is the offset sent, `null` with a ticket
 */

export class Link {
  /** @type {import("./journal.js").Seat | null} */
  seat = null;
  #getTicket;
  #ways;
  /** @type {import("./ways.js").Way | null} */
  #way = null;
  /** A socket is being tried beside a fallback that works. */
  #upgrading = false;
  #moveOwed = false;
  /** @type {unknown} */
  #upgradeTimer = null;
  #clock;
  #random;
  #wakeTarget;
  #events;
  /** @type {Connection | null} */
  #current = null;
  /** @type {Connection | null} */
  #candidate = null;
  /** Numbers the tries, so that an answer to an older one is recognized. */
  #try = 0;
  #trying = false;
  #running = false;
  #everWelcomed = false;
  #failures = 0;
  #ticketRetried = false;
  /** `regretted`: somebody came back before the relay had answered. @type {"no" | "asked" | "regretted" | "asleep"} */
  #doze = "no";
  #leaving = false;
  #welcomedAt = 0;
  #tried = "";
  /** Addresses that did not answer, oldest first. @type {Set<string>} */
  #doubted = new Set();
  /** @type {{timer: unknown, dueAt: number, slot: boolean} | null} */
  #next = null;
  /** @type {() => void} */
  #stopWaking = () => {};

  /**
   * @param {{getTicket: import("./types.js").GetTicket, ways: import("./ways.js").Ways,
   *   clock: import("./types.js").Clock, random: () => number, wake: EventTarget | null, events: LinkEvents}} options
   */
  constructor({ getTicket, ways, clock, random, wake, events }) {
    this.#getTicket = getTicket;
    this.#ways = ways;
    this.#clock = clock;
    this.#random = random;
    this.#wakeTarget = wake;
    this.#events = events;
  }

  /** @returns {Connection | null} where to send, if anywhere */
  get current() {
    return this.#current;
  }

  /** @returns {import("./ways.js").Way | null} how the current connection goes */
  get way() {
    return this.#current && this.#way;
  }

  /** @param {import("./journal.js").Seat | null} seat from before a reload, if the place in the log is known too */
  start(seat) {
    this.seat = seat;
    this.#running = true;
    this.#everWelcomed = false;
    this.#failures = 0;
    this.#ticketRetried = false;
    this.#doze = "no";
    this.#leaving = false;
    this.#tried = "";
    this.#doubted.clear();
    this.#stopWaking = onWake(this.#wakeTarget, (signal) => this.#woke(signal));
    void this.#open();
  }

  /** Give up the seat; the state becomes `left` when the socket is closed. */
  leave() {
    if (!this.#running) return;
    if (this.#doze === "asleep") {
      this.#leaving = true; // The seat is given up by the one who sits on it.
      return this.wake();
    }
    this.#dropCandidate();
    if (this.#current) this.#current.leave();
    else this.#stop("left", reasonFor(1000, ""));
  }

  /** Ask for leave to go without a socket until `wake`. While one is moving, or coming back, nothing happens. */
  doze() {
    if (!this.#current || this.#trying || this.#next) return;
    this.#doze = "asked";
    this.#current.send({ type: "doze" });
  }

  /** Somebody attends to the page: come back if it dozes. */
  wake() {
    if (this.#doze === "asked") this.#doze = "regretted";
    if (this.#doze !== "asleep") return;
    this.#doze = "no";
    void this.#open();
  }

  /** What came over the current connection cannot be right: come back and resume. @param {string} why */
  distrust(why) {
    this.#current?.close(why);
  }

  /** The seat that was to be resumed is of no use: the next try takes a ticket. */
  forgetSeat() {
    this.seat = null;
    this.#events.seatChanged();
  }

  /**
   * @param {string} token the newest resume token
   * @param {string} url where tickets lead by now: if that is elsewhere, as when there are more relays than before, the seat goes there
   */
  renewSeat(token, url) {
    if (!this.seat) return;
    const elsewhere = url !== this.seat.url;
    this.seat = { token, url };
    this.#events.seatChanged();
    if (elsewhere) this.migrate(0);
  }

  /** Move to a new socket without losing the old one first. @param {number} afterMs */
  migrate(afterMs) {
    // A socket that is being tried would be the new one; if it fails, the move is still owed.
    if (this.#upgrading) this.#moveOwed = true;
    else if (!this.#trying) this.#schedule(afterMs, true);
  }

  async #open() {
    const number = ++this.#try;
    this.#cancelNext();
    this.#trying = true;
    this.#events.state({ state: this.#waitingState() });
    const seat = this.seat;
    /** @type {import("./types.js").Ticket | null} */
    let ticket = null;
    if (!seat || this.#failures >= ASK_FOR_ADDRESS_AFTER) {
      try {
        if (this.#failures >= ASK_FOR_ADDRESS_AFTER && this.#tried) this.#doubted.add(this.#tried);
        ticket = await freshTicket(this.#getTicket, this.#clock, [...this.#doubted].slice(-MOST_AVOIDED));
      } catch (error) {
        if (number !== this.#try) return;
        const { reason, retryMs } = ticketRefusal(error, seat !== null);
        return this.#failed(reason, retryMs);
      }
      if (number !== this.#try) return;
      // Nothing else is left: all get another chance, in turn.
      if (this.#doubted.has(ticket.url)) this.#doubted.clear();
    }
    this.#connect(seat, ticket?.url ?? seat?.url ?? "", ticket);
  }

  /**
   * @param {import("./journal.js").Seat | null} seat
   * @param {string} url
   * @param {import("./types.js").Ticket | null} ticket
   */
  #connect(seat, url, ticket) {
    this.#tried = url;
    const way = this.#upgrading ? "socket" : this.#ways.next();
    /** @type {number | null} */
    let resumedAt = null;
    /** @type {import("./connection.js").ConnectionEvents} */
    const events = {
      opened: () => {
        if (!this.#everWelcomed) this.#events.state({ state: "joining" });
        // The place is taken only now: while the socket opened, the old connection may have brought more events.
        const position = this.#events.position();
        if (!seat || !position) return { type: "hello", version: VERSION, ticket: ticket?.ticket };
        resumedAt = position.offset;
        return { type: "hello", version: VERSION, resume: { token: seat.token, ...position, ...(this.#current ? { moving: true } : {}) } };
      },
      welcomed: (welcome) => this.#welcomed(connection, welcome, way, url, resumedAt),
      frame: (frame) => { if (connection === this.#current) this.#events.frame(frame); },
      binary: (buffer) => { if (connection === this.#current) this.#events.binary(buffer); },
      nonsense: (detail) => this.#events.nonsense(detail),
      ended: (ending) => this.#ended(connection, way, ending),
    };
    /** @type {Connection} */
    let connection;
    try {
      connection = new Connection({ url, WebSocket: this.#ways.socketClass(way), clock: this.#clock, events });
    } catch (error) {
      return this.#failed({ code: 0, name: "bad-url", detail: String(error), action: "final" });
    }
    this.#candidate = connection;
  }

  /**
   * @param {Connection} connection
   * @param {import("./types.js").Welcome} welcome
   * @param {import("./ways.js").Way} way
   * @param {string} url
   * @param {number | null} resumedAt
   */
  #welcomed(connection, welcome, way, url, resumedAt) {
    const old = this.#current;
    this.#current = connection;
    this.#candidate = null;
    this.#trying = false;
    this.#welcomedAt = this.#clock.now();
    this.#everWelcomed = true;
    this.#doze = "no";
    this.#doubted.clear();
    this.#way = way;
    this.#moveOwed = false;
    this.#upgrading = false;
    this.#ways.worked(way);
    this.#upgradeLater();
    old?.close("Another connection took over.");
    this.seat = { token: welcome.resume, url };
    if (this.#leaving) return connection.leave();
    if (this.#events.welcomed(welcome, resumedAt)) return this.#events.state({ state: "joined" });
    this.forgetSeat();
    this.distrust("The relay resumed another place than the one asked for.");
  }

  /**
   * @param {Connection} connection
   * @param {import("./ways.js").Way} way
   * @param {import("./connection.js").Ending} ending
   */
  #ended(connection, way, { code, detail, retryMs }) {
    const reason = reasonFor(code, detail);
    if (connection === this.#candidate) {
      this.#candidate = null;
      if (code === LOST) this.#ways.failed(way);
      return this.#failed(reason, retryMs);
    }
    if (connection !== this.#current) return; // Replaced by a newer one.
    this.#current = null;
    this.#clock.clearTimeout(this.#upgradeTimer);
    this.#events.disconnected();
    if (this.#clock.now() - this.#welcomedAt >= STABLE_MS) {
      this.#failures = 0;
      this.#ticketRetried = false;
    }
    // While a candidate is on its way, it may be what replaced this one; and to a mere loss it is already the answer.
    const overtaken = this.#trying && (code === REPLACED || reason.action === "again" || reason.action === "new-ticket");
    if (overtaken) this.#events.state({ state: "reconnecting", reason });
    else this.#failed(reason, retryMs);
  }

  /**
   * @param {import("./types.js").Reason} reason
   * @param {number} [retryMs] the relay's slot
   */
  #failed(reason, retryMs) {
    this.#trying = false;
    if (this.#leaving) return this.#stop("left", reasonFor(1000, ""));
    if (reason.code === DOZE && this.#doze === "asked") {
      this.#doze = "asleep";
      this.#cancelNext();
      return this.#events.state({ state: "dozing", reason });
    }
    if (reason.code === DOZE && this.#doze === "regretted") return void this.#open();
    this.#doze = "no";
    if (reason.action === "done") return this.#stop("left", reason);
    if (reason.action === "final" || reason.action === "ask") return this.#stop("refused", reason);
    const upgrading = this.#upgrading;
    this.#upgrading = false;
    if (upgrading && this.#current) {
      if (this.#moveOwed) return void this.#open();
      this.#upgradeLater();
      return this.#events.state({ state: "joined" });
    }
    if (reason.action === "new-ticket") {
      this.forgetSeat();
      if (!this.#ticketRetried && retryMs === undefined) {
        this.#ticketRetried = true;
        return void this.#open();
      }
    }
    // A slot keeps a crowd apart already; the little jitter is for a relay that gives everyone the same.
    const delay = retryMs === undefined ? backoffMs(this.#failures, this.#random) : retryMs + this.#random() * BASE_MS;
    this.#failures += 1;
    this.#schedule(delay, retryMs !== undefined);
    this.#events.state({ state: this.#waitingState(), reason, retryInMs: Math.round(delay) });
  }

  /** @returns {"migrating" | "reconnecting" | "connecting"} */
  #waitingState() {
    if (this.#current) return "migrating";
    return this.#everWelcomed ? "reconnecting" : "connecting";
  }

  /** @param {number} delayMs @param {boolean} slot */
  #schedule(delayMs, slot) {
    this.#cancelNext();
    const dueAt = this.#clock.now() + delayMs;
    this.#next = { timer: this.#clock.setTimeout(() => void this.#open(), delayMs), dueAt, slot };
  }

  /** After a while on the fallback, see whether a socket gets through by now. */
  #upgradeLater() {
    this.#clock.clearTimeout(this.#upgradeTimer);
    if (this.#way === "fallback") this.#upgradeTimer = this.#clock.setTimeout(() => this.#upgrade(), this.#ways.retryMs());
  }

  #upgrade() {
    if (this.#trying || this.#next) return this.#upgradeLater();
    this.#upgrading = true;
    void this.#open();
  }

  #cancelNext() {
    if (this.#next) this.#clock.clearTimeout(this.#next.timer);
    this.#next = null;
  }

  /** @param {{networkBack: boolean}} signal */
  #woke({ networkBack }) {
    this.#candidate?.check();
    this.#current?.check();
    // Our own backoff has waited long enough; a slot the relay gave is still kept, even if the timer is late.
    if (this.#next && (!this.#next.slot || this.#clock.now() >= this.#next.dueAt)) void this.#open();
    // The old socket may be bound to the network that went away; moving costs nothing if it is not.
    else if (networkBack && this.#current && !this.#trying) void this.#open();
  }

  #dropCandidate() {
    this.#try += 1;
    this.#trying = false;
    this.#cancelNext();
    const candidate = this.#candidate;
    this.#candidate = null;
    candidate?.close("No longer wanted.");
  }

  /** @param {"left" | "refused"} state @param {import("./types.js").Reason} reason */
  #stop(state, reason) {
    this.#running = false;
    this.#upgrading = false;
    this.#clock.clearTimeout(this.#upgradeTimer);
    this.#dropCandidate();
    const current = this.#current;
    this.#current = null;
    if (current) {
      current.close("The room refused to go on.");
      this.#events.disconnected();
    }
    this.#stopWaking();
    this.forgetSeat();
    this.#events.state({ state, reason });
  }
}
