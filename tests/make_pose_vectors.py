"""Writes tests/vectors/pose/*.json, which every pose codec must agree with.

`python -m tests.make_pose_vectors`; docs/pose.md says how to read them. Inputs are rounded, so that
no platform's sine can change a file.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from bench.motion import Kind, poses
from vchat.pose import BONES, EXPRESSIONS, Pose, PoseDecoder, PoseEncoder, PoseError, Root
from vchat.pose_body import is_keyframe, root_position, thin

VECTORS = Path(__file__).parent / "vectors" / "pose"
Json = dict[str, Any]
Step = tuple[Pose, int, bool]  # pose, seq, keyframe


def pose_to_json(pose: Pose) -> Json:
    return {
        "root": pose.root
        and {"position": list(pose.root.position), "rotation": list(pose.root.rotation)},
        "bones": {name: list(q) for name, q in pose.bones.items()},
        "expressions": dict(pose.expressions),
        "gaze": None if pose.gaze is None else list(pose.gaze),
    }


def pose_from_json(data: Json) -> Pose:
    root = data["root"]
    return Pose(
        root and Root(tuple(root["position"]), tuple(root["rotation"])),
        {name: tuple(q) for name, q in data["bones"].items()},
        data["expressions"],
        data["gaze"] and tuple(data["gaze"]),
    )


def rounded(pose: Pose, digits: int = 6) -> Pose:
    def short(numbers: Iterable[float]) -> Any:
        return tuple(round(n, digits) + 0.0 for n in numbers)

    return Pose(
        pose.root and Root(short(pose.root.position), short(pose.root.rotation)),
        {name: short(q) for name, q in pose.bones.items()},
        {name: round(w, digits) for name, w in pose.expressions.items()},
        pose.gaze and short(pose.gaze),
    )


def random_quaternion(rng: random.Random) -> tuple[float, float, float, float]:
    return (rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1), rng.gauss(0, 1))


def whole_pose(rng: random.Random) -> Pose:
    """55 bones turned at random, 18 expressions, gaze, root."""
    return Pose(
        Root((rng.uniform(-50, 50), rng.uniform(-1, 1), rng.uniform(-50, 50))),
        {bone: random_quaternion(rng) for bone in BONES},
        {name: rng.random() for name in EXPRESSIONS},
        (rng.uniform(-40, 40), rng.uniform(-30, 30)),
    )


def nudged(pose: Pose, rng: random.Random, bones: Iterable[str], by: float) -> Pose:
    changed = dict(pose.bones)
    for bone in bones:
        x, y, z, w = changed[bone]
        changed[bone] = (x + rng.gauss(0, by), y + rng.gauss(0, by), z + rng.gauss(0, by), w)
    return Pose(pose.root, changed, pose.expressions, pose.gaze)


def in_motion(kind: Kind, count: int, *, first: int = 0, forced: int = -1) -> list[Step]:
    moving = islice(poses(kind, 60.0, seed=11), count)
    return [(rounded(p), (first + i) & 0xFFFF, i == forced) for i, p in enumerate(moving)]


def _special() -> list[Step]:
    half = 0.7071067811865476
    rotations = [
        (0.0, 0.0, 0.0, 1.0),
        (0.0, 0.0, 0.0, -1.0),
        (1.0, 0.0, 0.0, 0.0),
        (0.0, -1.0, 0.0, 0.0),
        (0.0, 0.0, 1.0, 1e-9),
        (0.5, 0.5, 0.5, 0.5),
        (-0.5, 0.5, -0.5, 0.5),
        (half, half, 0.0, 0.0),
        (half, 0.0, 0.0, -half),
        (0.0, half, -half, 0.0),
        (3.0, -4.0, 12.0, 84.0),
        (0.577350, 0.577350, 0.577350, 0.000001),
        (0.7, 0.7, 0.1, 0.1),
        (0.002, 0.0, 0.0, 1.0),
    ]
    forward = Pose(bones=dict(zip(BONES, rotations, strict=False)))
    backward = Pose(bones=dict(zip(BONES, rotations[::-1], strict=False)))
    few = {**forward.bones, "hips": (1.0, 0.0, 0.0, 1e-7), "head": (-0.5, -0.5, -0.5, -0.49)}
    return [(forward, 1, False), (Pose(bones=few), 2, False), (backward, 3, False)]


def _faces() -> list[Step]:
    def face(**weights: float) -> Pose:
        return Pose(expressions={"aa": 0.0, "blink": 0.0, "happy": 0.0, **weights})

    said = [face(), face(aa=0.5), face(aa=0.505), face(blink=1.0), face(happy=0.25), face(aa=7.0)]
    return [(pose, i, False) for i, pose in enumerate(said)]


def encode_sessions() -> dict[str, tuple[int, list[Step]]]:
    """Name → keyframe_every, steps."""
    rng = random.Random(5)
    whole = rounded(whole_pose(rng))
    fingers = rounded(nudged(whole, rng, [b for b in BONES if "Index" in b], 0.05))
    everything = rounded(nudged(whole, rng, BONES, 0.05))
    gazes = [(0.0, 0.0), (0.4, -0.5), (10.2, -5.1), (-95.0, 95.25), (400.0, -400.0)]
    roots = [(0.0, 0.0, 0.0), (0.002, 0.0, 0.0), (0.0, 0.0021, 0.0), (-131.072, -20.0, 131.072)]
    return {
        "walk": (40, in_motion("walk", 12)),
        "dance, a keyframe asked for": (40, in_motion("dance", 10, forced=4)),
        "idle, mostly nothing new": (40, in_motion("idle", 30)),
        "keyframes by number, over the end of seq": (4, in_motion("walk", 10, first=65530)),
        "all bones, expressions and gaze": (
            40,
            [(whole, 7, False), (fingers, 8, False), (everything, 9, False), (whole, 10, False)],
        ),
        "a delta would be no shorter": (
            40,
            [(Pose(bones=rounded(whole_pose(rng)).bones), i, False) for i in range(3)],
        ),
        "special rotations": (40, _special()),
        "expressions only": (40, _faces()),
        "gaze only": (40, [(Pose(gaze=g), i, False) for i, g in enumerate(gazes)]),
        "root only": (40, [(Pose(Root(p)), i, False) for i, p in enumerate(roots)]),
        "parts come and go": (
            40,
            [
                (Pose(bones={"head": (0.1, 0.0, 0.0, 1.0)}), 0, False),
                (Pose(bones={"head": (0.1, 0.0, 0.0, 1.0), "jaw": (0.0, 0.0, 0.0, 1.0)}), 1, False),
                (Pose(bones={"jaw": (0.2, 0.0, 0.0, 1.0)}), 2, False),
                (Pose(), 3, False),
                (Pose(), 4, False),
            ],
        ),
    }


def encoded(session: tuple[int, list[Step]]) -> list[bytes | None]:
    every, steps = session
    encoder = PoseEncoder(keyframe_every=every)
    return [encoder.encode(pose, seq, keyframe=asked) for pose, seq, asked in steps]


def decode_sessions() -> dict[str, list[tuple[int, bytes]]]:
    """Name → (seq, body) as they arrive."""
    sent = {
        name: [
            (seq, said)
            for (_, seq, _), said in zip(session[1], encoded(session), strict=True)
            if said is not None
        ]
        for name, session in encode_sessions().items()
    }
    walk, dance = sent["walk"], sent["dance, a keyframe asked for"]
    far = [(seq, thin(said, "far")) for seq, said in walk]
    middle = [(seq, thin(said, "middle")) for seq, said in walk]
    arrivals = {f"{name}, nothing lost": all_of for name, all_of in sent.items()}
    return arrivals | {
        "lost deltas": [walk[0], *walk[3:5], walk[9], walk[11]],
        "a lost keyframe": [*dance[:3], *dance[5:7], dance[4], dance[7]],
        "no keyframe yet": walk[3:5],
        "a keyframe whose number only looks right": [
            (walk[0][0], walk[0][1]),
            (walk[0][0] + 256 + 3, walk[3][1]),
        ],
        "keyframe and delta out of order": [dance[0], dance[4], dance[2], dance[5]],
        "middle distance": middle,
        "far": far,
        "walking away": [*walk[:2], *middle[2:4], *far[4:6]],
        "coming near before the next keyframe": [*far[:2], *walk[2:4], walk[0], walk[4]],
        "all bones thinned": [
            (seq, thin(said, detail))
            for seq, said in sent["all bones, expressions and gaze"]
            for detail in ("far", "middle", "near")
        ],
    }


def malformed_bodies() -> dict[str, str]:
    """Name → body in hex; the seq is 5."""
    quarter = "00000000"
    return {
        "nothing": "",
        "only a format": "01",
        "another format": "0201",
        "keyframe: half a position": "0107000000",
        "keyframe: position without rotation": "0103000000000000",
        "keyframe: rotation without position": "0105" + quarter,
        "keyframe: no upper body where the flags say so": "0111",
        "keyframe: one bone too few": "0111" + quarter * 13,
        "keyframe: one byte too many": "0111" + quarter * 14 + "00",
        "keyframe: a mask of bones that do not exist": "01910040" + quarter,
        "keyframe: a finger mask beyond 55 bones": "01c10000000002" + quarter,
        "keyframe: face cut": "010902",
        "keyframe: expressions that do not exist": "01098000" + "10" + "00",
        "delta: no reference": "0100",
        "delta: refers to itself": "010005",
        "delta: bytes after the end": "01000400",
        "delta: upper body longer than the body": "01100409" + "0000",
        "delta: upper body longer than its bones": "011004" + "03" + "000000",
        "delta: upper body shorter than its bones": "011004" + "01" + "0000",
        "delta: unused bits set": "011004" + "02" + "0001",
        "delta: legs cut": "012004",
        "delta: a number with too many zeros": "012004" + "80000000",
        "delta: a number too large": "012004" + "80" + "07" + "ff" * 8,
        "more than 512 bytes": "0101" + "00" * 511,
    }


def _encode_vectors() -> list[Json]:
    return [
        {
            "name": name,
            "keyframeEvery": session[0],
            "steps": [
                {
                    "pose": pose_to_json(pose),
                    "seq": seq,
                    "keyframe": asked,
                    "body": None if said is None else said.hex(),
                }
                for (pose, seq, asked), said in zip(session[1], encoded(session), strict=True)
            ],
        }
        for name, session in encode_sessions().items()
    ]


def _decode_vectors() -> list[Json]:
    sessions = []
    for name, arrivals in decode_sessions().items():
        decoder = PoseDecoder()
        steps = []
        for seq, said in arrivals:
            pose = decoder.decode(said, seq)
            steps.append(
                {
                    "seq": seq,
                    "body": said.hex(),
                    "pose": pose_to_json(rounded(pose, 7)),
                    "needsKeyframe": decoder.needs_keyframe,
                }
            )
        sessions.append({"name": name, "steps": steps})
    return sessions


def _thin_vectors() -> list[Json]:
    bodies = {
        said: name
        for name, session in encode_sessions().items()
        for said in encoded(session)[:3]
        if said is not None
    }
    return [
        {
            "name": name,
            "body": said.hex(),
            "keyframe": is_keyframe(said),
            "rootPosition": root_position(said),
            "middle": thin(said, "middle").hex(),
            "far": thin(said, "far").hex(),
        }
        for said, name in bodies.items()
    ]


def _malformed_vectors() -> list[Json]:
    vectors = []
    for name, said in malformed_bodies().items():
        try:
            PoseDecoder().decode(bytes.fromhex(said), 5)
        except PoseError as error:
            vectors.append({"name": name, "body": said, "seq": 5, "error": str(error)})
        else:
            raise AssertionError(f"{name} is well-formed")
    return vectors


def generate() -> dict[str, str]:
    """File name → text."""
    vectors = {
        "encode.json": _encode_vectors(),
        "decode.json": _decode_vectors(),
        "thin.json": _thin_vectors(),
        "malformed.json": _malformed_vectors(),
    }
    return {
        name: "[\n" + ",\n".join(json.dumps(v, ensure_ascii=False) for v in listed) + "\n]\n"
        for name, listed in vectors.items()
    }


if __name__ == "__main__":
    VECTORS.mkdir(parents=True, exist_ok=True)
    for file_name, text in generate().items():
        (VECTORS / file_name).write_text(text, encoding="utf-8")
        print(f"{file_name}: {len(text)} bytes")
