/** What is known of the room: who is in it, the last chats, and how far the log has been read. */

export const HISTORY = 50;

/** The fields of an event that are not a member's or a room's. */
const ENVELOPE = new Set(["type", "offset", "time", "replayed"]);

export class RoomLog {
  /** @type {Map<number, import("./types.js").Member>} by seat, yourself included */
  members = new Map();
  /** @type {import("./types.js").ChatEvent[]} oldest first */
  history = [];
  /** @type {import("./types.js").Room | null} */
  room = null;
  /** @type {string | null} */
  epoch = null;
  /** @type {number | null} the last event processed */
  offset = null;
  /** `members` and `room` of the last welcome already show the events up to here. */
  #head = -1;

  /**
   * Go on from where a page was before its reload.
   * @param {{epoch: string, offset: number}} place
   * @param {import("./types.js").ChatEvent[]} history
   */
  restore({ epoch, offset }, history) {
    this.epoch = epoch;
    this.offset = offset;
    // A page that died between two writes may have kept a chat that will be sent again.
    this.history = history.filter((event) => event.offset <= offset);
  }

  /** @returns {{epoch: string, offset: number} | null} */
  position() {
    return this.epoch === null || this.offset === null ? null : { epoch: this.epoch, offset: this.offset };
  }

  /**
   * @param {import("./types.js").Welcome} welcome
   * @param {number | null} resumedAt the offset sent in the hello, `null` if a ticket was sent
   * @returns {boolean} false if it claims to go on from another place than the one sent: nothing was changed then
   */
  welcome(welcome, resumedAt) {
    if (welcome.recovered && (welcome.epoch !== this.epoch || welcome.offset !== resumedAt)) return false;
    this.members = new Map(welcome.members.map((member) => [member.seat, member]));
    this.room = welcome.room;
    this.#head = welcome.head;
    if (!welcome.recovered) {
      this.history = welcome.history.slice(-HISTORY).map((event) => ({ ...event, replayed: true }));
      this.epoch = welcome.epoch;
      this.offset = welcome.offset;
    }
    // When recovered, our own offset stays: while two connections overlapped it may have gone past the one sent.
    return true;
  }

  /**
   * @param {any} frame an event from the relay; if it is new, it is marked `replayed` and taken in
   * @returns {"new" | "known" | "gap"}
   */
  take(frame) {
    const known = this.offset ?? 0;
    if (frame.offset <= known) return "known";
    if (frame.offset > known + 1) return "gap";
    this.offset = frame.offset;
    frame.replayed = frame.offset <= this.#head;
    if (frame.type === "chat") this.history = [...this.history, frame].slice(-HISTORY);
    if (!frame.replayed) this.#apply(frame);
    return "new";
  }

  /** @param {any} event */
  #apply(event) {
    const fields = Object.fromEntries(Object.entries(event).filter(([name]) => !ENVELOPE.has(name)));
    if (event.type === "joined") this.members.set(event.seat, /** @type {any} */ (fields));
    if (event.type === "left") this.members.delete(event.seat);
    if (event.type === "member") {
      const member = this.members.get(event.seat);
      if (member) this.members.set(event.seat, { ...member, ...fields });
    }
    if (event.type === "room") this.room = /** @type {any} */ ({ ...this.room, ...fields });
  }
}
