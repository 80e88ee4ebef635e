/** V-Chat in the browser. */

export { VChatApi } from "./api.js";
export { ApiError } from "./api-error.js";
export { RoomClient } from "./room.js";
export { RoomError } from "./room-error.js";
export { RemoteAvatars } from "./remote-avatars.js";
export { PoseBuffer } from "./interpolation.js";
export { TickClock } from "./tick-clock.js";
export { PoseDecoder, PoseEncoder } from "./pose.js";
