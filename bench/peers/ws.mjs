// Node with `ws`, in its own idiom: `node ws.mjs PORT forward|merge`
import { WebSocketServer, WebSocket } from "ws";

const [port, how] = process.argv.slice(2);
const TICK_MS = 50;
const rooms = new Map();

class Room {
  members = new Set();
  poses = new Map();
  constructor() {
    if (how === "merge") setTimeout(() => setInterval(() => this.tick(), TICK_MS), Math.random() * TICK_MS);
  }
  tick() {
    if (!this.poses.size) return;
    const parts = [Buffer.from([2, 0, 0, 0, 0, 0, 0, 0])];
    for (const [seat, pose] of this.poses) {
      const head = Buffer.allocUnsafe(6);
      head.writeUInt16LE(seat, 0);
      head.writeUInt16LE(pose.readUInt16LE(2), 2);
      head.writeUInt16LE(pose.length - 4, 4);
      parts.push(head, pose.subarray(4));
    }
    this.poses.clear();
    const frame = Buffer.concat(parts);
    for (const member of this.members) if (member.readyState === WebSocket.OPEN) member.send(frame);
  }
}

const server = new WebSocketServer({ port: Number(port), host: "127.0.0.1", perMessageDeflate: false, backlog: 1024 });
let seats = 0;
server.on("connection", (socket, request) => {
  const name = request.url;
  if (!rooms.has(name)) rooms.set(name, new Room());
  const room = rooms.get(name);
  const seat = seats++ & 0xffff;
  let greeted = false;
  socket.on("message", (data, binary) => {
    if (binary && how === "merge") room.poses.set(seat, data);
    else if (binary) {
      for (const member of room.members) if (member !== socket && member.readyState === WebSocket.OPEN) member.send(data);
    } else if (!greeted) {
      greeted = true;
      room.members.add(socket);
      socket.send('{"type":"welcome"}');
    } else {
      const text = data.toString();
      for (const member of room.members) if (member.readyState === WebSocket.OPEN) member.send(text);
    }
  });
  socket.on("close", () => room.members.delete(socket));
});
