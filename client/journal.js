/** What a reload needs to go on where the page was: the resume token, the place in the log, the last chats, the unsent messages. */

const FALLBACK = "vchat.fallback";

/**
 * @typedef {{token: string, url: string}} Seat the resume token and the relay it is best used at
 * @typedef {{seat: Seat | null, epoch: string, offset: number}} Place written at every event, so it is small
 */

export class Journal {
  #storage;
  #key;
  #report;
  #broken = false;

  /**
   * @param {import("./types.js").KeyValueStore | null} storage `null` keeps nothing
   * @param {string} roomId
   * @param {(error: unknown) => void} report told once if the storage does not work (full, forbidden); the room goes on without it
   */
  constructor(storage, roomId, report) {
    this.#storage = storage;
    this.#key = `vchat.room.${roomId}`;
    this.#report = report;
  }

  /** @returns {Place | null} */
  place() {
    const place = this.#read("place");
    if (typeof place?.epoch !== "string" || !Number.isSafeInteger(place.offset)) return null;
    return { seat: typeof place.seat?.token === "string" ? place.seat : null, epoch: place.epoch, offset: place.offset };
  }

  /** @returns {import("./types.js").ChatEvent[]} */
  history() {
    const history = this.#read("history");
    return Array.isArray(history) ? history.filter((event) => typeof event?.text === "string") : [];
  }

  /** @returns {import("./outbox.js").Kept[]} */
  messages() {
    const kept = this.#read("outbox");
    return Array.isArray(kept) ? kept.filter((entry) => typeof entry?.message?.id === "string") : [];
  }

  /** @param {Place} place */
  keepPlace(place) {
    this.#write("place", place);
  }

  /** @param {readonly import("./types.js").ChatEvent[]} history */
  keepHistory(history) {
    this.#write("history", history);
  }

  /** @param {import("./outbox.js").Kept[]} messages */
  keepMessages(messages) {
    if (messages.length > 0) this.#write("outbox", messages);
    else this.#touch(() => this.#storage?.removeItem(`${this.#key}.outbox`));
  }

  /** @returns {boolean} whether this session of the page found that only the fallback gets through; for all rooms */
  fallback() {
    return this.#touch(() => this.#storage?.getItem(FALLBACK)) === "1";
  }

  /** @param {boolean} only */
  keepFallback(only) {
    this.#touch(() => (only ? this.#storage?.setItem(FALLBACK, "1") : this.#storage?.removeItem(FALLBACK)));
  }

  /** @returns {number} the first pose number no earlier page can have used */
  poseSeq() {
    const seq = this.#read("poseSeq");
    return Number.isInteger(seq) ? seq & 0xffff : 0;
  }

  /** @param {number} seq */
  keepPoseSeq(seq) {
    this.#write("poseSeq", seq);
  }

  /** Leave nothing but the pose number: the seat may be ours again, and its numbers go on. */
  forget() {
    this.#touch(() => {
      for (const what of ["place", "history", "outbox"]) this.#storage?.removeItem(`${this.#key}.${what}`);
    });
  }

  /** @param {string} what */
  #read(what) {
    return this.#touch(() => JSON.parse(this.#storage?.getItem(`${this.#key}.${what}`) ?? "null"));
  }

  /** @param {string} what @param {unknown} value */
  #write(what, value) {
    this.#touch(() => this.#storage?.setItem(`${this.#key}.${what}`, JSON.stringify(value)));
  }

  /**
   * @template T
   * @param {() => T} use
   * @returns {T | null}
   */
  #touch(use) {
    try {
      return use();
    } catch (error) {
      if (!this.#broken) this.#report(error);
      this.#broken = true;
      return null;
    }
  }
}
