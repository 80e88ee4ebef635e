/**
 * A page where no WebSocket opens, for test_fallback.py: joins, repeats what others chat, shows a pose, and tells what it sees,
 * one JSON object a line.  node tests/fallback_page.js <roomId> <url> <ticket>…
 */

import { emptyPose } from "../client/pose-blend.js";
import { RoomClient } from "../client/room.js";

const [roomId, url, ...tickets] = process.argv.slice(2);
const tell = (/** @type {object} */ what) => console.log(JSON.stringify(what));

class Blocked {
  readyState = 0;
  constructor() { setTimeout(() => this.onclose({ code: 1006, reason: "" })); }
  send() {}
  close() {}
}

const room = new RoomClient({ roomId, getTicket: async () => ({ ticket: tickets.shift(), url }), WebSocket: Blocked });
room.on("state", ({ state, reason }) => tell({ state, way: room.way, reason: reason?.name }));
room.on("chat", (event) => {
  tell({ chat: event.text, offset: event.offset });
  if (event.userId === room.user.id) return;
  room.sendChat(`you said: ${event.text}`).then(({ offset }) => tell({ stored: offset }));
  room.setPose({ ...emptyPose(), root: { position: [1, 0, 2], rotation: [0, 0, 0, 1] } });
});
room.on("pose", ({ seat, pose }) => tell({ seat, at: pose.root?.position }));
room.on("error", (error) => tell({ error: error.code, detail: error.detail }));
await room.join();
process.stdin.on("data", () => void room.leave().then(() => process.exit()));
