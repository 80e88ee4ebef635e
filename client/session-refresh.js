/** Keeps a session from running out: a new ticket over the open socket, well before the end. */

import { RoomError } from "./room-error.js";
import { freshTicket } from "./tickets.js";

/** Refresh this long before the end, or at half time if the session is shorter than twice that. */
const LEAD_MS = 60_000;
const RETRY_MS = 10_000;

export class SessionRefresh {
  /** Where the newest ticket leads. */
  url = "";
  #getTicket;
  #clock;
  #send;
  #report;
  /** @type {unknown} */
  #timer = null;
  #session = 0;

  /**
   * @param {{getTicket: import("./types.js").GetTicket, clock: import("./types.js").Clock,
   *   send: (frame: {type: "refresh", ticket: string}) => void, report: (error: RoomError) => void}} ports
   */
  constructor({ getTicket, clock, send, report }) {
    this.#getTicket = getTicket;
    this.#clock = clock;
    this.#send = send;
    this.#report = report;
  }

  /** @param {unknown} expiresInS of the session, from `welcome` or `refreshed`; unknown means never */
  extended(expiresInS) {
    this.stop();
    if (typeof expiresInS !== "number" || !(expiresInS > 0)) return;
    const lifeMs = expiresInS * 1000;
    this.#after(Math.max(lifeMs - LEAD_MS, lifeMs / 2));
  }

  stop() {
    this.#session += 1;
    this.#clock.clearTimeout(this.#timer);
  }

  /** @param {number} ms */
  #after(ms) {
    this.#timer = this.#clock.setTimeout(() => void this.#refresh(), ms);
  }

  async #refresh() {
    const session = this.#session;
    try {
      const { ticket, url } = await freshTicket(this.#getTicket, this.#clock);
      if (session !== this.#session) return;
      this.url = url;
      this.#send({ type: "refresh", ticket });
    } catch (error) {
      if (session === this.#session) this.#report(new RoomError("refresh-failed", String(error), { cause: error }));
    }
    // `refreshed` calls extended(), which ends this; until then it is tried again. Past the end the relay closes with 41xx.
    if (session === this.#session) this.#after(RETRY_MS);
  }
}
