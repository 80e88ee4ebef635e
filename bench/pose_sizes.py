"""How many bytes a moving avatar costs, and how far off it looks: `python -m bench.pose_sizes`.

Twenty poses a second of synthetic people (`bench.motion`) go through the encoder and the decoder,
with a keyframe every two seconds. Every pose given, also one that needed no body, is compared with
what a receiver shows. Prints the table of docs/pose.md.
"""

from __future__ import annotations

import argparse
import math
import platform
from dataclasses import dataclass

from bench.motion import Kind, poses
from vchat.pose import Pose, PoseDecoder, PoseEncoder, Quaternion
from vchat.pose_body import is_keyframe, thin

HZ = 20.0
KEYFRAME_S = 2.0
KINDS: tuple[tuple[str, Kind, float | None], ...] = (
    ("idle", "idle", None),
    ("idle, tracker noise", "idle", 0.15),
    ("walk", "walk", None),
    ("dance, tracker noise", "dance", None),
)


@dataclass
class Tally:
    """What one kind of motion cost."""

    ticks: int = 0
    bodies: int = 0
    total: int = 0
    largest: int = 0
    keyframes: int = 0
    middle: int = 0
    far: int = 0
    worst_degrees: float = 0.0
    worst_metres: float = 0.0

    def row(self, name: str) -> str:
        return (
            f"| {name} | {self.total / self.ticks:.1f} | {self.total / self.bodies:.1f} | "
            f"{self.bodies / self.ticks:.0%} | {self.keyframes / self.ticks * HZ:.2f} | "
            f"{self.largest} | {self.middle / self.ticks:.1f} | {self.far / self.ticks:.1f} | "
            f"{self.worst_degrees:.3f}° | {self.worst_metres * 1000:.2f} mm |"
        )


def degrees_between(a: Quaternion, b: Quaternion) -> float:
    """The angle between two rotations, accurate also when it is small."""
    sign = 1.0 if sum(x * y for x, y in zip(a, b, strict=True)) >= 0 else -1.0
    chord = math.sqrt(sum((x - sign * y) ** 2 for x, y in zip(a, b, strict=True)))
    return math.degrees(4 * math.asin(min(1.0, chord / 2)))


def measure(kind: Kind, jitter: float | None, seconds: float, seeds: int) -> Tally:
    tally = Tally()
    for seed in range(1, seeds + 1):
        encoder, decoder = PoseEncoder(), PoseDecoder()
        shown = Pose()
        seq = 0
        keyframe_tick = 0
        for tick, pose in enumerate(poses(kind, seconds, hz=HZ, seed=seed, jitter=jitter)):
            tally.ticks += 1
            # By time, as the browser's sender does: numbers alone pass slowly while little moves.
            due = tick - keyframe_tick >= KEYFRAME_S * HZ
            body = encoder.encode(pose, seq, keyframe=due)
            if body is not None:
                shown = decoder.decode(body, seq)
                seq = (seq + 1) & 0xFFFF
                tally.bodies += 1
                tally.total += len(body)
                tally.largest = max(tally.largest, len(body))
                if is_keyframe(body):
                    keyframe_tick = tick
                    tally.keyframes += 1
                tally.middle += len(thin(body, "middle"))
                tally.far += len(thin(body, "far"))
            _compare(tally, pose, shown)
    return tally


def _compare(tally: Tally, given: Pose, shown: Pose) -> None:
    pairs = [(q, shown.bones[bone]) for bone, q in given.bones.items()]
    assert given.root is not None
    assert shown.root is not None
    pairs.append((given.root.rotation, shown.root.rotation))
    worst = max(degrees_between(a, b) for a, b in pairs)
    tally.worst_degrees = max(tally.worst_degrees, worst)
    for a, b in zip(given.root.position, shown.root.position, strict=True):
        tally.worst_metres = max(tally.worst_metres, abs(a - b))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, default=5, help="how many people of each kind")
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {platform.machine()}, {platform.system()}")
    print(f"{options.seeds} people × {options.seconds:.0f} s each, {HZ:.0f} Hz\n")
    print(
        "| motion | bytes per tick | bytes per body | ticks with a body | keyframes per s "
        "| largest body | middle per tick | far per tick | worst rotation | worst position |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, kind, jitter in KINDS:
        print(measure(kind, jitter, options.seconds, options.seeds).row(name), flush=True)


if __name__ == "__main__":
    main()
