"""Pose bodies: the decoders in Python and in JavaScript say the same of any bytes, to the bit."""

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from struct import Struct

from tests.components import need
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target
from tests.make_pose_vectors import VECTORS
from vchat import pose_body
from vchat.pose import BONES, EXPRESSIONS, Pose, PoseDecoder, PoseError

_PEER = Path(__file__).parent / "verdicts.mjs"
_HEAD = Struct("<HH")
_BATCH = 256


@asynccontextmanager
async def bodies() -> AsyncIterator[Target]:
    """An input is a `seq` and a body, to one decoder in each language, which remember keyframes."""
    process = await asyncio.create_subprocess_exec(
        need("node"), str(_PEER), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    both = _Both(process)
    try:
        yield Target(_seeds(), both.make, both.attempt)
        await both.compare()
        assert process.stdin is not None
        process.stdin.close()
        assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _seeds() -> tuple[bytes, ...]:
    found = []
    for name in ("decode", "encode"):
        for session in json.loads((VECTORS / f"{name}.json").read_text()):
            found += [(step["seq"], step["body"]) for step in session["steps"] if step["body"]]
    for one in json.loads((VECTORS / "malformed.json").read_text()):
        found.append((one["seq"], one["body"]))
    return tuple((seq & 0xFFFF).to_bytes(2, "little") + bytes.fromhex(b) for seq, b in found)


class _Both:
    def __init__(self, peer: asyncio.subprocess.Process) -> None:
        self._peer = peer
        self._decoder = PoseDecoder()
        self._keyframe_seq = 0
        self._asked: list[bytes] = []
        self._said: list[bytes] = []

    def make(self, rng: Random, known: Sequence[bytes]) -> bytes:
        data = bytearray(mutated(rng, known))
        # Most deltas must find their keyframe, or little of them would be looked at.
        delta = len(data) > 4 and data[2] == 1 and not data[3] & pose_body.KEYFRAME
        if delta and rng.random() < 0.8:
            seq = self._keyframe_seq + rng.randrange(1, 256) & 0xFFFF
            data[0:2] = seq.to_bytes(2, "little")
            data[4] = self._keyframe_seq & 0xFF
        return bytes(data)

    async def attempt(self, data: bytes) -> Hashable:
        seq, body = int.from_bytes(data[:2], "little"), data[2:]
        try:
            pose = self._decoder.decode(body, seq)
        except PoseError as error:
            verdict: Hashable = str(error)
            said = str(error).encode()
        else:
            verdict = _outline(pose), self._decoder.needs_keyframe
            said = _spelled(pose, self._decoder.needs_keyframe)
            if body[1] & pose_body.KEYFRAME:
                self._keyframe_seq = seq
            _thin(body, seq)
        self._asked.append(_HEAD.pack(seq, len(body)) + body)
        self._said.append(said)
        if len(self._asked) == _BATCH:
            await self.compare()
        return verdict

    async def compare(self) -> None:
        """Let the other decoder judge what was collected. Raises AssertionError."""
        assert self._peer.stdin is not None
        assert self._peer.stdout is not None
        self._peer.stdin.write(b"".join(self._asked))
        await self._peer.stdin.drain()
        for asked, said in zip(self._asked, self._said, strict=True):
            size = int.from_bytes(await self._peer.stdout.readexactly(2), "little")
            heard = await self._peer.stdout.readexactly(size)
            assert heard == said, (
                f"JavaScript differs on {asked.hex()}: {heard!r}, Python: {said!r}"
            )
        self._asked.clear()
        self._said.clear()


def _outline(pose: Pose) -> Hashable:
    """Which parts a pose has; bones by how many, or every set of them would be news."""
    return (
        pose.root is not None,
        pose.gaze is not None,
        len(pose.bones) // 4,
        len(pose.expressions) // 4,
    )


def _spelled(pose: Pose, needs_keyframe: bool) -> bytes:
    """Everything a pose says, as verdicts.mjs spells it."""
    numbers: list[float] = [float(needs_keyframe)]
    if pose.root is not None:
        numbers += [-1.0, *pose.root.position, *pose.root.rotation]
    if pose.gaze is not None:
        numbers += [-2.0, *pose.gaze]
    for i, bone in enumerate(BONES):
        if (rotation := pose.bones.get(bone)) is not None:
            numbers += [float(i), *rotation]
    for i, expression in enumerate(EXPRESSIONS):
        if (weight := pose.expressions.get(expression)) is not None:
            numbers += [float(i), weight]
    return Struct(f"<{len(numbers)}d").pack(*(number + 0.0 for number in numbers))


def _thin(body: bytes, seq: int) -> None:
    """What a relay makes of a good body is a good body too, which stays good."""
    for detail in ("middle", "far"):
        less = pose_body.thin(body, detail)
        PoseDecoder().decode(less, seq)
        assert len(less) <= len(body)
        assert pose_body.thin(less, detail) == less
        assert pose_body.is_keyframe(less) == pose_body.is_keyframe(body)
        assert pose_body.root_position(less) == pose_body.root_position(body)
