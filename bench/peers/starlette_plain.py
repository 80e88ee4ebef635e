"""Starlette as its manual shows it, on stock uvicorn: `python starlette_plain.py PORT`

Merges poses per tick; otherwise `receive`, `send` and a loop over the room.
"""

import asyncio
import struct
import sys
from collections import defaultdict

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

TICK_S = 0.05


class Room:
    def __init__(self) -> None:
        self.members: set[WebSocket] = set()
        self.poses: dict[int, bytes] = {}
        self.ticking = asyncio.create_task(self.tick())

    async def tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_S)
            if not self.poses:
                continue
            frame = bytes((2, 0, 0, 0, 0, 0, 0, 0)) + b"".join(
                struct.pack("<H", seat) + pose[2:4] + struct.pack("<H", len(pose) - 4) + pose[4:]
                for seat, pose in self.poses.items()
            )
            self.poses.clear()
            for member in list(self.members):
                try:
                    await member.send_bytes(frame)
                except (WebSocketDisconnect, RuntimeError):
                    self.members.discard(member)


rooms: dict[str, Room] = defaultdict(Room)
seats = iter(range(1 << 16))


async def stay(socket: WebSocket) -> None:
    await socket.accept("vchat.v1")
    await socket.receive_text()
    room, seat = rooms[socket.path_params["room"]], next(seats)
    room.members.add(socket)
    await socket.send_text('{"type":"welcome"}')
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                break
            if message.get("bytes"):
                room.poses[seat] = message["bytes"]
            else:
                for member in list(room.members):
                    await member.send_text(message["text"])
    finally:
        room.members.discard(socket)


uvicorn.run(
    Starlette(routes=[WebSocketRoute("/rooms/{room}", stay)]),
    port=int(sys.argv[1]),
    ws="websockets-sansio",
    ws_per_message_deflate=False,
    log_level="error",
    backlog=1024,
)
