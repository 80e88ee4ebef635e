/** Messages on their way to the room: kept until stored, sent again under the same id, bounded in number and age. */

import { RoomError } from "./room-error.js";

export const CAPACITY = 100;
/** Sent and not yet answered: enough to hide the round trip, few enough that a refused burst is small. */
export const WINDOW = 8;
export const ACK_TIMEOUT_MS = 15_000;
/** The relay remembers an id for at least 10 minutes; sending it later could store the message twice. */
export const LIFETIME_MS = 8 * 60_000;

/**
 * @typedef {{type: "chat", id: string, text: string} | {type: "signal", id: string, name: string, data: unknown}} Message
 * @typedef {{message: Message, queuedAt: number, sent: boolean}} Kept what survives a reload
 * @typedef {Kept & {inFlightSince: number | null, again: boolean, resolve: (stored: {offset: number}) => void, reject: (error: RoomError) => void}} Entry
 */

export class Outbox {
  #clock;
  #send;
  #changed;
  /** @type {Map<string, Entry>} in the order they were added */
  #entries = new Map();
  #open = false;
  #heldUntil = 0;
  /** @type {unknown} */
  #timer = null;

  /**
   * @param {{clock: import("./types.js").Clock, send: (message: Message) => void, changed: () => void}} ports
   *   `changed` is called after every change of what would have to survive a reload.
   */
  constructor({ clock, send, changed }) {
    this.#clock = clock;
    this.#send = send;
    this.#changed = changed;
  }

  get pending() {
    return this.#entries.size;
  }

  /** @returns {Kept[]} */
  kept() {
    return [...this.#entries.values()].map(({ message, queuedAt, sent }) => ({ message, queuedAt, sent }));
  }

  /**
   * @param {Message} message
   * @param {Partial<Kept>} [earlier] what a reload kept of it
   * @returns {Promise<{offset: number}>}
   * @throws {RoomError} (as a rejection) outbox-full, expired, unconfirmed, or the relay's final refusal
   */
  add(message, { queuedAt = this.#clock.now(), sent = false } = {}) {
    if (this.#entries.size >= CAPACITY) {
      return Promise.reject(new RoomError("outbox-full", `${CAPACITY} messages are already waiting to be sent.`));
    }
    return new Promise((resolve, reject) => {
      this.#entries.set(message.id, { message, queuedAt, sent, inFlightSince: null, again: sent, resolve, reject });
      this.#pump();
      this.#changed();
    });
  }

  /** A connection is ready: everything not confirmed goes out again, under its old id. */
  connected() {
    this.#open = true;
    this.#heldUntil = 0;
    for (const entry of this.#entries.values()) entry.inFlightSince = null;
    this.#pump();
  }

  disconnected() {
    this.#open = false;
    this.#pump();
  }

  /**
   * The room has stored it: an ack, or the event itself came round (which proves as much when the ack was lost).
   * @param {string} id
   * @param {number} offset
   * @returns {number | null} ms since it was sent, if it was sent only once (else nobody knows which one this answers)
   */
  stored(id, offset) {
    const entry = this.#entries.get(id);
    if (!entry) return null;
    this.#entries.delete(id);
    entry.resolve({ offset });
    this.#pump();
    this.#changed();
    return entry.inFlightSince === null || entry.again ? null : this.#clock.now() - entry.inFlightSince;
  }

  /**
   * The relay refused it: for now if it says when to try again, else for good.
   * @param {string} id
   * @param {RoomError} error
   * @returns {boolean} whether it was one of ours
   */
  refused(id, error) {
    const entry = this.#entries.get(id);
    if (!entry) return false;
    if (error.retryMs === undefined) {
      this.#entries.delete(id);
      entry.reject(error);
    } else {
      entry.inFlightSince = null;
      this.#heldUntil = Math.max(this.#heldUntil, this.#clock.now() + error.retryMs);
    }
    this.#pump();
    this.#changed();
    return true;
  }

  /** Give up on everything. @param {RoomError} error */
  abandon(error) {
    this.#open = false;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const entry of entries) entry.reject(error);
    this.#pump();
    this.#changed();
  }

  /** Drop what is too old, send what may be sent, and come back when the next thing falls due. */
  #pump() {
    const now = this.#clock.now();
    this.#dropOld(now);
    if (this.#open && now >= this.#heldUntil) this.#fill(now);
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    const due = this.#nextDue(now);
    if (due < Infinity) this.#timer = this.#clock.setTimeout(() => { this.#pump(); this.#changed(); }, due - now);
  }

  /** @param {number} now */
  #dropOld(now) {
    for (const [id, entry] of this.#entries) {
      if (now - entry.queuedAt < LIFETIME_MS) continue;
      this.#entries.delete(id);
      entry.reject(entry.sent
        ? new RoomError("unconfirmed", "It was sent, but the room never confirmed it.")
        : new RoomError("expired", "There was no connection in time to send it."));
    }
  }

  /** @param {number} now */
  #fill(now) {
    let room = WINDOW;
    for (const entry of this.#entries.values()) {
      if (room === 0) break;
      room -= 1;
      if (entry.inFlightSince !== null && now - entry.inFlightSince < ACK_TIMEOUT_MS) continue;
      entry.inFlightSince = now;
      entry.again = entry.sent;
      entry.sent = true;
      this.#send(entry.message);
    }
  }

  /** @param {number} now */
  #nextDue(now) {
    let due = Infinity;
    for (const entry of this.#entries.values()) {
      due = Math.min(due, entry.queuedAt + LIFETIME_MS);
      if (this.#open && entry.inFlightSince !== null) due = Math.min(due, Math.max(this.#heldUntil, entry.inFlightSince + ACK_TIMEOUT_MS));
    }
    if (this.#open && this.#entries.size > 0 && this.#heldUntil > now) due = Math.min(due, this.#heldUntil);
    return Math.max(due, now);
  }
}
