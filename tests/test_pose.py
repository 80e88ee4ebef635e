"""Promises of the pose codec: how far off, how small, and what loss and nonsense cannot do."""

import math
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.motion import poses
from bench.pose_sizes import degrees_between, measure
from vchat.pose import (
    BONES,
    EXPRESSIONS,
    Pose,
    PoseDecoder,
    PoseEncoder,
    PoseError,
    Quaternion,
    Root,
)
from vchat.pose.rotation import normalized, pack, turn_between, turned, unpack
from vchat.pose.value import LOWER_BONES, UPPER_BONES
from vchat.pose_body import is_keyframe, root_position, thin

# A machine that is busy with something else breaks no promise.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

STANDARD_BONES = (*UPPER_BONES, *LOWER_BONES)
HALF = math.sqrt(0.5)

component = st.one_of(
    st.floats(-1, 1),
    st.sampled_from([0.0, -0.0, 1e-9, -1e-9, 0.5, -0.5, HALF, -HALF, HALF + 1e-9, 1.0, -1.0]),
)
quaternions = (
    st.tuples(component, component, component, component)
    .filter(lambda q: sum(c * c for c in q) > 1e-3)
    .map(normalized)
)
whole_poses = st.builds(
    Pose,
    root=st.none() | st.builds(Root, st.tuples(*[st.floats(-100, 100)] * 3), quaternions),
    bones=st.dictionaries(st.sampled_from(BONES), quaternions, max_size=55),
    expressions=st.dictionaries(st.sampled_from(EXPRESSIONS), st.floats(0, 1), max_size=18),
    gaze=st.none() | st.tuples(st.floats(-90, 90), st.floats(-90, 90)),
)

# Few distinct values, so that parts stay, change and come back within three poses.
few_parts = st.builds(
    Pose,
    bones=st.fixed_dictionaries(
        {
            bone: st.sampled_from([(0.0, 0.0, 0.0, 1.0), (0.1, 0.0, 0.0, 1.0)])
            for bone in ("hips", "head", "leftFoot", "jaw")
        }
    ),
    expressions=st.fixed_dictionaries({"aa": st.sampled_from([0.0, 1.0])}),
    root=st.none() | st.builds(Root, st.sampled_from([(0.0, 0.0, 0.0), (1.0, 0.0, 2.0)])),
)


@given(quaternions)
@example((HALF, HALF, 0.0, 0.0))
@example((0.5, 0.5, 0.5, -0.5))
@example((0.4988493059194857, 0.5002330765284613, 0.5002330765284613, 0.5006826422769104))
def test_an_absolute_rotation_is_within_0_275_degrees(q: Quaternion):
    shown = unpack(pack(q))
    assert degrees_between(shown, q) <= 0.275
    minus = unpack(pack((-q[0], -q[1], -q[2], -q[3])))
    assert degrees_between(minus, q) <= 0.275


@given(quaternions, quaternions)
@example((0.0, 0.0, 0.0, 1.0), (1.0, 0.0, 0.0, 0.0))
@example((0.0, 0.0, 0.0, 1.0), (0.577, 0.577, 0.577, 1e-12))
@example((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0, -1.0))
def test_a_turn_is_within_0_298_degrees_however_large_it_is(base: Quaternion, q: Quaternion):
    base, q = normalized(base), normalized(q)
    assert degrees_between(turned(base, turn_between(base, q)), q) <= 0.298


@given(st.integers(0, 2**32 - 1))
def test_any_32_bits_are_a_rotation(packed: int):
    assert math.isclose(sum(c * c for c in unpack(packed)), 1.0)


@settings(max_examples=40)
@given(st.lists(whole_poses, min_size=1, max_size=4))
def test_what_is_shown_is_what_was_given_to_within_the_stated_bounds(given_poses: list[Pose]):
    encoder, decoder = PoseEncoder(), PoseDecoder()
    shown, seq = Pose(), 0
    for pose in given_poses:
        body = encoder.encode(pose, seq)
        if body is not None:
            assert 1 <= len(body) <= 512
            shown, seq = decoder.decode(body, seq), seq + 1
        assert_shown(shown, pose)


def assert_shown(shown: Pose, pose: Pose) -> None:
    assert shown.bones.keys() == pose.bones.keys()
    for bone, q in pose.bones.items():
        assert degrees_between(shown.bones[bone], q) <= 0.2981
    assert shown.expressions.keys() == pose.expressions.keys()
    for name, weight in pose.expressions.items():
        assert abs(shown.expressions[name] - weight) <= 0.0101
    assert (shown.gaze is None) == (pose.gaze is None)
    if pose.gaze and shown.gaze:
        assert all(abs(a - b) <= 0.501 for a, b in zip(shown.gaze, pose.gaze, strict=True))
    assert (shown.root is None) == (pose.root is None)
    if pose.root and shown.root:
        assert degrees_between(shown.root.rotation, pose.root.rotation) <= 0.2981
        (x, y, z), (px, py, pz) = shown.root.position, pose.root.position
        assert abs(x - px) <= 0.00201
        assert abs(z - pz) <= 0.00201
        assert abs(y - min(max(py, -16.382), 16.382)) <= 0.00201


def sent(kind: str, count: int, *, keyframe_every: int = 40) -> Iterator[tuple[int, bytes]]:
    encoder, seq = PoseEncoder(keyframe_every=keyframe_every), 65_530
    for pose in poses(kind, count / 20, seed=3):
        body = encoder.encode(pose, seq)
        if body is not None:
            yield seq, body
            seq = (seq + 1) & 0xFFFF


DANCE = list(sent("dance", 24, keyframe_every=8))
UNLOST = PoseDecoder()
DANCED = {seq: UNLOST.decode(body, seq) for seq, body in DANCE}


@settings(max_examples=40)
@given(st.sets(st.sampled_from([seq for seq, body in DANCE if not is_keyframe(body)])))
def test_lost_deltas_never_change_what_follows(lost: set[int]):
    decoder = PoseDecoder()
    for seq, body in DANCE:
        if seq not in lost:
            assert decoder.decode(body, seq) == DANCED[seq]
            assert not decoder.needs_keyframe


@given(st.lists(st.sampled_from(DANCE), max_size=40))
def test_in_any_order_and_with_any_loss_a_pose_is_right_or_left_out(arrivals):
    decoder = PoseDecoder()
    for seq, body in arrivals:
        pose = decoder.decode(body, seq)
        if decoder.needs_keyframe:
            assert not pose.bones
        else:
            assert pose == DANCED[seq]


def test_without_its_keyframe_a_delta_says_only_what_is_absolute():
    decoder = PoseDecoder()
    seq, delta = DANCE[1]
    pose = decoder.decode(delta, seq)
    assert decoder.needs_keyframe
    assert pose.bones == {}
    assert pose.root is not None
    assert pose.root.position == DANCED[seq].root.position
    assert set(pose.expressions) <= set(DANCED[seq].expressions)
    decoder.decode(DANCE[0][1], DANCE[0][0])
    assert decoder.decode(delta, seq) == DANCED[seq]
    assert not decoder.needs_keyframe


def test_a_keyframe_whose_number_only_ends_alike_is_not_mistaken_for_the_right_one():
    decoder = PoseDecoder()
    decoder.decode(DANCE[0][1], DANCE[0][0])
    assert decoder.decode(DANCE[1][1], (DANCE[1][0] + 256) & 0xFFFF).bones == {}
    assert decoder.needs_keyframe


@given(st.binary(max_size=600), st.integers(0, 0xFFFF))
def test_bytes_are_a_pose_or_a_pose_error(data: bytes, seq: int):
    decoder = PoseDecoder()
    decoder.decode(*DANCE[0][::-1])
    for body in (data, b"\x01" + data, DANCE[1][1][:3] + data):
        try:
            pose = decoder.decode(body, seq)
        except PoseError:
            continue
        for q in pose.bones.values():
            assert math.isclose(sum(c * c for c in q), 1.0)


@given(st.binary(max_size=600), st.sampled_from(["near", "middle", "far"]))
def test_a_relay_meets_nothing_but_a_pose_error(data: bytes, detail):
    for body in (data, b"\x01" + data):
        for look in (is_keyframe, root_position, lambda b: thin(b, detail)):
            try:
                look(body)
            except PoseError:
                continue


@given(st.sampled_from(DANCE), st.data())
def test_a_damaged_body_leaves_the_decoder_as_it_was(message, data):
    seq, body = message
    cut = body[: data.draw(st.integers(0, len(body) - 1))]
    decoder = PoseDecoder()
    decoder.decode(*DANCE[0][::-1])
    with pytest.raises(PoseError):
        decoder.decode(cut, seq)
    assert decoder.decode(DANCE[1][1], DANCE[1][0]) == DANCED[DANCE[1][0]]


@settings(max_examples=60)
@given(st.lists(few_parts, min_size=1, max_size=3), st.sampled_from(["middle", "far"]))
def test_a_thinned_body_shows_a_part_of_the_same_pose(given_poses, detail):
    encoder, whole, part = PoseEncoder(), PoseDecoder(), PoseDecoder()
    for seq, pose in enumerate(given_poses):
        body = encoder.encode(pose, seq)
        if body is None:
            continue
        thinned = thin(body, detail)
        assert thin(thinned, detail) == thinned
        assert len(thinned) <= len(body)
        full, shown = whole.decode(body, seq), part.decode(thinned, seq)
        assert not part.needs_keyframe
        assert shown.root == full.root
        kept = UPPER_BONES if detail == "middle" else ()
        assert shown.bones == {bone: q for bone, q in full.bones.items() if bone in kept}
        if detail == "middle":
            assert (shown.expressions, shown.gaze) == (full.expressions, full.gaze)
        else:
            assert (shown.expressions, shown.gaze) == ({}, None)


def test_a_mouth_that_closed_again_is_closed_at_middle_distance_too():
    def speaking(aa: float, step: float) -> Pose:
        return Pose(bones={"leftFoot": (step, 0.0, 0.0, 1.0)}, expressions={"aa": aa})

    encoder, decoder = PoseEncoder(), PoseDecoder()
    decoder.decode(encoder.encode(speaking(0.0, 0.0), 0), 0)
    opened = decoder.decode(thin(encoder.encode(speaking(1.0, 0.1), 1), "middle"), 1)
    closed = decoder.decode(thin(encoder.encode(speaking(0.0, 0.2), 2), "middle"), 2)
    assert (opened.expressions, closed.expressions) == ({"aa": 1.0}, {"aa": 0.0})
    assert "leftFoot" not in closed.bones


def test_walking_away_between_keyframes_freezes_the_legs_instead_of_resetting_them():
    decoder = PoseDecoder()
    decoder.decode(*DANCE[0][::-1])
    seq, body = DANCE[1]
    pose = decoder.decode(thin(body, "middle"), seq)
    assert not set(LOWER_BONES) & set(pose.bones)
    assert pose.bones == {b: q for b, q in DANCED[seq].bones.items() if b in UPPER_BONES}


def test_coming_near_shows_what_the_thinned_keyframe_lacks_only_after_a_whole_one():
    decoder = PoseDecoder()
    decoder.decode(thin(DANCE[0][1], "middle"), DANCE[0][0])
    seq, body = DANCE[1]
    assert not set(LOWER_BONES) & set(decoder.decode(body, seq).bones)
    assert decoder.needs_keyframe
    decoder.decode(*DANCE[0][::-1])
    assert decoder.decode(body, seq) == DANCED[seq]


def test_the_root_position_is_read_from_any_body_that_has_it():
    for seq, body in DANCE:
        x, _, z = DANCED[seq].root.position
        for detail in ("near", "middle", "far"):
            assert root_position(thin(body, detail)) == (x, z)
    assert root_position(PoseEncoder().encode(Pose(gaze=(0.0, 0.0)), 0)) is None


def test_the_root_is_clamped_at_the_edge_of_the_world():
    body = PoseEncoder().encode(Pose(Root((-1e6, 1e6, 1e6))), 0)
    assert PoseDecoder().decode(body, 0).root == Root((-131.07, 16.382, 131.07))


def test_a_still_avatar_costs_nothing():
    encoder = PoseEncoder()
    pose = next(poses("idle", 1))
    assert encoder.encode(pose, 0) is not None
    assert [encoder.encode(pose, 1) for _ in range(100)] == [None] * 100


def test_the_age_of_a_keyframe_always_fits_its_byte():
    encoder = PoseEncoder(keyframe_every=255)
    moving = poses("dance", 3)
    assert is_keyframe(encoder.encode(next(moving), 10))
    assert not is_keyframe(encoder.encode(next(moving), 10 + 254))
    assert is_keyframe(encoder.encode(next(moving), 10 + 255))
    assert is_keyframe(encoder.encode(next(moving), 9))
    with pytest.raises(ValueError, match="keyframe_every"):
        PoseEncoder(keyframe_every=256)


@pytest.mark.parametrize(
    "pose",
    [
        Pose(bones={"tail": (0.0, 0.0, 0.0, 1.0)}),
        Pose(bones={"head": (0.0, 0.0, 0.0, 0.0)}),
        Pose(bones={"head": (math.nan, 0.0, 0.0, 1.0)}),
        Pose(expressions={"smirk": 1.0}),
        Pose(expressions={"aa": math.nan}),
        Pose(gaze=(math.inf, 0.0)),
        Pose(Root((0.0, math.nan, 0.0))),
    ],
)
def test_a_pose_that_cannot_be_said_is_refused_and_changes_nothing(pose: Pose):
    encoder = PoseEncoder()
    still = Pose(bones={"head": (0.0, 0.0, 0.0, 1.0)})
    encoder.encode(still, 0)
    with pytest.raises(PoseError):
        encoder.encode(pose, 1)
    assert encoder.encode(still, 1) is None


@settings(max_examples=20)
@given(st.lists(quaternions, min_size=22, max_size=22), quaternions)
def test_a_keyframe_of_22_bones_with_root_is_100_bytes(rotations, root: Quaternion):
    pose = Pose(Root((1.0, 2.0, 3.0), root), dict(zip(STANDARD_BONES, rotations, strict=True)))
    assert len(PoseEncoder().encode(pose, 0)) == 100


def test_everything_at_once_fits_in_a_body():
    everything = Pose(
        Root((1.0, 2.0, 3.0)),
        dict.fromkeys(BONES, (0.5, -0.5, 0.5, 0.5)),
        dict.fromkeys(EXPRESSIONS, 0.3),
        (10.0, -10.0),
    )
    assert len(PoseEncoder().encode(everything, 0)) == 255


@pytest.mark.parametrize(("kind", "most"), [("idle", 18), ("walk", 60), ("dance", 85)])
def test_a_moving_avatar_stays_within_its_bytes_and_its_error(kind, most):
    tally = measure(kind, None, seconds=8.0, seeds=1)
    assert tally.total / tally.ticks <= most
    assert tally.worst_degrees <= 0.3
    assert tally.worst_metres <= 0.0021
