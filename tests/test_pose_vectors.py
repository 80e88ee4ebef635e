"""The golden vectors are what the codec says today; JavaScript is held to the same files."""

import json
import re
from pathlib import Path

import pytest

from tests.make_pose_vectors import VECTORS, generate, pose_from_json
from vchat.pose import BONES, EXPRESSIONS, PoseDecoder, PoseEncoder, PoseError
from vchat.pose_body import FACE, LOWER, ROTATION, THINNED, UPPER, root_position, thin


def vectors(name: str) -> list:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def named(listed: list) -> list:
    return [pytest.param(vector, id=vector["name"]) for vector in listed]


def test_the_committed_vectors_are_what_the_codec_generates():
    generated = generate()
    assert {path.name for path in VECTORS.iterdir()} == set(generated)
    for name, text in generated.items():
        assert (VECTORS / name).read_text(encoding="utf-8") == text, f"{name}: regenerate it"


@pytest.mark.parametrize("session", named(vectors("encode")))
def test_the_encoder_says_a_golden_pose_in_the_same_bytes(session):
    encoder = PoseEncoder(keyframe_every=session["keyframeEvery"])
    for step in session["steps"]:
        body = encoder.encode(pose_from_json(step["pose"]), step["seq"], keyframe=step["keyframe"])
        assert (body and body.hex()) == step["body"]


@pytest.mark.parametrize("session", named(vectors("decode")))
def test_the_decoder_shows_a_golden_session(session):
    decoder = PoseDecoder()
    for step in session["steps"]:
        shown = decoder.decode(bytes.fromhex(step["body"]), step["seq"])
        expected = pose_from_json(step["pose"])
        assert shown.bones.keys() == expected.bones.keys()
        for bone, q in expected.bones.items():
            assert shown.bones[bone] == pytest.approx(q, abs=1e-6)
        assert shown.expressions == pytest.approx(expected.expressions, abs=1e-6)
        assert shown.gaze == (expected.gaze and pytest.approx(expected.gaze, abs=1e-6))
        assert (shown.root is None) == (expected.root is None)
        if shown.root and expected.root:
            assert shown.root.position == pytest.approx(expected.root.position, abs=1e-6)
            assert shown.root.rotation == pytest.approx(expected.root.rotation, abs=1e-6)
        assert decoder.needs_keyframe == step["needsKeyframe"]


def test_a_relay_thins_and_reads_golden_bodies_alike():
    for vector in vectors("thin"):
        body = bytes.fromhex(vector["body"])
        assert thin(body, "near") == body
        assert thin(body, "middle").hex() == vector["middle"]
        assert thin(body, "far").hex() == vector["far"]
        position = root_position(body)
        assert (position and list(position)) == vector["rootPosition"]


def test_a_delta_that_was_thinned_after_its_face_can_be_thinned_again():
    # Such a cut is none of ours, but the format allows it, and so a stranger can send it.
    body = bytes((1, THINNED | LOWER | UPPER | FACE | ROTATION, 1, 8, 0xF7, 0xDB, 0xB4, 0))
    PoseDecoder().decode(body, 2)
    assert thin(body, "middle") == body


@pytest.mark.parametrize("vector", named(vectors("malformed")))
def test_a_malformed_body_is_refused_with_its_reason(vector):
    with pytest.raises(PoseError) as refused:
        PoseDecoder().decode(bytes.fromhex(vector["body"]), vector["seq"])
    assert str(refused.value) == vector["error"]


def test_the_specification_numbers_bones_and_expressions_as_the_codec_does():
    text = (Path(__file__).parents[1] / "docs" / "pose.md").read_text(encoding="utf-8")
    bones = dict[int, str]()
    rows = re.compile(r"^\| (?:UPPER, 14 bones|LOWER, 8|FINE, 33) \| (.*) \|$", re.MULTILINE)
    for row in rows.findall(text):
        single, _, paired = row.rpartition("L/R: ")
        for number, name in re.findall(r"(\d+) (\w+)", single):
            bones[int(number)] = name
        for number, name in re.findall(r"(\d+) (\w+)", paired):
            bones[int(number)] = f"left{name}"
            bones[int(number) + 1] = f"right{name}"
    assert bones == dict(enumerate(BONES))
    listed = text[text.index("Expressions: 0") : text.index("## Sections")]
    named_by_number = {int(n): name for n, name in re.findall(r"(\d+) (\w+)", listed)}
    assert named_by_number == dict(enumerate(EXPRESSIONS))
