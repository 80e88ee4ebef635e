"""The V-Chat pose codec, format 1: docs/pose.md. Relays need only `vchat.pose_body`."""

from vchat.pose.decoder import PoseDecoder
from vchat.pose.encoder import PoseEncoder
from vchat.pose.value import BONES, EXPRESSIONS, Pose, Quaternion, Root, Vector
from vchat.pose_body import PoseError

__all__ = [
    "BONES",
    "EXPRESSIONS",
    "Pose",
    "PoseDecoder",
    "PoseEncoder",
    "PoseError",
    "Quaternion",
    "Root",
    "Vector",
]
