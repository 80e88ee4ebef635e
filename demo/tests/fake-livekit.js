/**
 * LiveKit's library as the page uses it, and the server behind it.
 *
 * Its names and numbers are the real library's; only `Room` is made here. It behaves as livekit-client 2.23 does: `connect` rejects with
 * a ConnectionError, `disconnect` tells CLIENT_INITIATED unless nothing was connected, levels come with ActiveSpeakersChanged, and a
 * microphone that may not be published is refused.
 */

/** @typedef {typeof import("livekit-client")} Library */

export class FakeServer {
  /** @type {FakeRoom[]} */
  rooms = [];
  /** "" or what is wrong: "away" refuses, "hangs" never answers. */
  trouble = "";
  /** What `getUserMedia` throws: the name of a DOMException, or "" for a microphone that works. */
  microphone = "";
  /** Let the microphone wait until `answer` is called, as a browser's question does. @type {(() => void) | null} */
  answer = null;
  asks = false;
  loads = 0;
  real;
  Room;

  /** @param {Library} real */
  constructor(real) {
    const server = this;
    this.real = real;
    this.Room = class extends FakeRoom { constructor() { super(server); } };
  }

  /** What liveKit() loads. */
  load = async () => {
    this.loads++;
    return /** @type {any} */ ({ ...this.real, Room: this.Room });
  };

  /** Somebody elsewhere is in the call as well. @param {string} identity */
  enter(identity) {
    for (const room of this.rooms) room.remoteParticipants.set(identity, { identity, audioLevel: 0, isSpeaking: false });
  }

  /** Somebody speaks, or with level 0 no more. @param {string} identity @param {number} level */
  speak(identity, level) {
    for (const room of this.rooms.filter((one) => one.state === "connected")) {
      const one = identity === room.localParticipant.identity ? room.localParticipant : room.remoteParticipants.get(identity);
      if (!one) continue;
      Object.assign(one, { audioLevel: level, isSpeaking: level > 0 });
      room.emit(this.real.RoomEvent.ActiveSpeakersChanged, [room.localParticipant, ...room.remoteParticipants.values()].filter(({ isSpeaking }) => isSpeaking));
    }
  }

  /** @param {string} identity @param {number} reason a DisconnectReason */
  dismiss(identity, reason) {
    for (const room of this.rooms) if (room.localParticipant.identity === identity) room.end(reason);
  }
}

class FakeRoom {
  state = "disconnected";
  canPlaybackAudio = true;
  started = 0;
  /** @type {Map<string, {identity: string, audioLevel: number, isSpeaking: boolean}>} */
  remoteParticipants = new Map();
  localParticipant;
  #server;
  /** @type {Map<string, ((...told: any[]) => void)[]>} */
  #listeners = new Map();
  /** @type {((error: Error) => void) | null} */
  #giveUp = null;

  /** @param {FakeServer} server */
  constructor(server) {
    this.#server = server;
    const room = this;
    const { RoomEvent } = server.real;
    this.localParticipant = {
      identity: "", audioLevel: 0, isSpeaking: false, isMicrophoneEnabled: false,
      /** @param {boolean} on */
      async setMicrophoneEnabled(on) {
        if (on && server.asks) await new Promise((resolve) => { server.answer = () => resolve(undefined); });
        if (on && server.microphone) throw Object.assign(new Error("no microphone"), { name: server.microphone });
        if (on && room.state !== "connected") throw new Error("failed to publish track");
        if (on === this.isMicrophoneEnabled) return;
        this.isMicrophoneEnabled = on;
        room.emit(on ? RoomEvent.LocalTrackPublished : RoomEvent.LocalTrackUnpublished);
      },
    };
  }

  /** @param {string} event @param {(...told: any[]) => void} listener */
  on(event, listener) { this.#listeners.set(event, [...this.#listeners.get(event) ?? [], listener]); }

  /** @param {string} event @param {...any} told */
  emit(event, ...told) { for (const listener of this.#listeners.get(event) ?? []) listener(...told); }

  /** @param {string} url @param {string} token */
  async connect(url, token) {
    const { ConnectionError } = this.#server.real;
    this.#server.rooms.push(this);
    this.state = "connecting";
    if (!/^wss?:/.test(url)) throw new Error("not a LiveKit address");
    if (this.#server.trouble === "away") throw ConnectionError.serverUnreachable("could not establish signal connection");
    if (this.#server.trouble === "hangs") await new Promise((_, reject) => { this.#giveUp = reject; });
    const { sub, video } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
    if (!video.roomJoin) throw ConnectionError.notAllowed("no grant", 401);
    this.localParticipant.identity = sub;
    for (const other of this.#server.rooms) {
      if (other === this || other.state !== "connected") continue;
      other.remoteParticipants.set(sub, { identity: sub, audioLevel: 0, isSpeaking: false });
      this.remoteParticipants.set(other.localParticipant.identity, { identity: other.localParticipant.identity, audioLevel: 0, isSpeaking: false });
    }
    this.state = "connected";
  }

  async disconnect() {
    if (this.state === "disconnected") return;
    const { ConnectionError, DisconnectReason } = this.#server.real;
    this.#giveUp?.(ConnectionError.cancelled("Client initiated disconnect"));
    this.end(DisconnectReason.CLIENT_INITIATED);
  }

  async startAudio() {
    this.started++;
    this.canPlaybackAudio = true;
    this.emit(this.#server.real.RoomEvent.AudioPlaybackStatusChanged, true);
  }

  /** @param {number} reason */
  end(reason) {
    this.state = "disconnected";
    this.localParticipant.isMicrophoneEnabled = false;
    this.emit(this.#server.real.RoomEvent.Disconnected, reason);
  }
}
