// Socket.IO in its own idiom, chat only: `node socketio.mjs PORT`
import { Server } from "socket.io";

const io = new Server(Number(process.argv[2]), { transports: ["websocket"], perMessageDeflate: false });
io.on("connection", (socket) => {
  socket.join("room");
  socket.on("chat", (text) => io.to("room").emit("chat", text));
});
