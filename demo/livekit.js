/** The call as LiveKit makes it; its library is loaded when somebody first speaks. */

import { VoiceProblem } from "./voice.js";

/** @typedef {Pick<typeof import("livekit-client"), "Room" | "RoomEvent" | "DisconnectReason" | "MediaDeviceFailure">} Sdk */

/**
 * @param {() => Promise<Sdk>} [load] @returns {import("./voice.js").Connect}
 */
export function liveKit(load = () => import("livekit-client")) {
  return async ({ url, token }, events, signal) => {
    const { Room, RoomEvent, DisconnectReason, MediaDeviceFailure } = await load();
    const room = new Room();
    /** @type {Record<number, import("./voice.js").Trouble>} */
    const reasons = {
      [DisconnectReason.PARTICIPANT_REMOVED]: "removed",
      [DisconnectReason.ROOM_DELETED]: "removed",
      [DisconnectReason.DUPLICATE_IDENTITY]: "elsewhere",
    };
    let joined = false;
    room.on(RoomEvent.TrackSubscribed, (track) => { if (track.kind === "audio") track.attach(); });
    room.on(RoomEvent.TrackUnsubscribed, (track) => { track.detach(); });
    for (const event of [RoomEvent.ActiveSpeakersChanged, RoomEvent.LocalTrackPublished, RoomEvent.LocalTrackUnpublished]) room.on(event, events.changed);
    room.on(RoomEvent.AudioPlaybackStatusChanged, () => { if (!room.canPlaybackAudio) events.silent(); });
    room.on(RoomEvent.Disconnected, (reason) => {
      if (joined && reason !== DisconnectReason.CLIENT_INITIATED) events.ended(reasons[reason ?? -1] ?? "lost");
    });
    signal.addEventListener("abort", () => void room.disconnect());
    try {
      signal.throwIfAborted();
      await room.connect(url, token);
      signal.throwIfAborted();
      joined = true;
    } catch (cause) {
      await room.disconnect();
      throw new VoiceProblem("unreachable", { cause });
    }
    return {
      get speaking() { return room.localParticipant.isMicrophoneEnabled; },
      async speak(on) {
        try {
          await room.localParticipant.setMicrophoneEnabled(on);
        } catch (cause) {
          const failure = MediaDeviceFailure.getFailure(cause);
          const { PermissionDenied, NotFound, DeviceInUse } = MediaDeviceFailure;
          throw new VoiceProblem(failure === PermissionDenied ? "refused" : failure === NotFound ? "missing" : failure === DeviceInUse ? "busy" : "microphone", { cause });
        }
      },
      listen: () => room.startAudio(),
      level(userId) {
        const one = userId === room.localParticipant.identity ? room.localParticipant : room.remoteParticipants.get(userId);
        return one?.isSpeaking ? one.audioLevel : 0;
      },
      close: () => room.disconnect(),
    };
  };
}
