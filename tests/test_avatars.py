"""The avatars the demo ships: valid VRM 1.0 files, our own, small, made by the program there."""

import json
import struct
from itertools import pairwise
from typing import Any

import pytest

from demo.make_avatars import AVATARS, files
from demo.tailor.looks import LOOKS
from vchat.pose import BONES, EXPRESSIONS

MODELS = [f"{name}.vrm" for name in LOOKS]
REQUIRED = {
    *("hips", "spine", "chest", "upperChest", "neck", "head", "leftEye", "rightEye"),
    *(
        side + part
        for side in ("left", "right")
        for part in (
            *("Shoulder", "UpperArm", "LowerArm", "Hand"),
            *("UpperLeg", "LowerLeg", "Foot", "Toes"),
        )
    ),
}
COMPONENT = {5121: "B", 5123: "H", 5126: "f"}
WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Model:
    """A .vrm file taken apart by nothing but the glTF specification."""

    def __init__(self, data: bytes) -> None:
        magic, version, size = struct.unpack_from("<4sII", data)
        assert (magic, version, size) == (b"glTF", 2, len(data))
        length, kind = struct.unpack_from("<I4s", data, 12)
        assert (kind, length % 4) == (b"JSON", 0)
        self.gltf: dict[str, Any] = json.loads(data[20 : 20 + length])
        rest, kind = struct.unpack_from("<I4s", data, 20 + length)
        assert (kind, rest % 4) == (b"BIN\0", 0)
        self.binary = data[28 + length :]
        assert len(self.binary) == rest
        assert self.gltf["buffers"][0]["byteLength"] <= rest
        self.vrm = self.gltf["extensions"]["VRMC_vrm"]

    def read(self, view: int, component: int, width: int, count: int) -> list[tuple[Any, ...]]:
        place = self.gltf["bufferViews"][view]
        layout = f"<{width}{COMPONENT[component]}"
        size = struct.calcsize(layout)
        assert place["byteOffset"] % 4 == 0
        assert size * count <= place["byteLength"]
        start = place["byteOffset"]
        return list(struct.iter_unpack(layout, self.binary[start : start + size * count]))

    def values(self, accessor: int) -> list[tuple[Any, ...]]:
        item = self.gltf["accessors"][accessor]
        width, component = WIDTH[item["type"]], item["componentType"]
        if "sparse" not in item:
            return self.read(item["bufferView"], component, width, item["count"])
        out: list[tuple[Any, ...]] = [(0.0,) * width] * item["count"]
        sparse = item["sparse"]
        at = sparse["indices"]
        where = self.read(at["bufferView"], at["componentType"], 1, sparse["count"])
        there = self.read(sparse["values"]["bufferView"], component, width, sparse["count"])
        assert where == sorted(set(where)), "sparse indices strictly increase"
        for (index,), value in zip(where, there, strict=True):
            out[index] = value
        return out

    def primitives(self) -> list[dict[str, Any]]:
        return [p for mesh in self.gltf["meshes"] for p in mesh["primitives"]]


@pytest.fixture(scope="module", name="made")
def _made() -> dict[str, bytes]:
    return files()


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, made: dict[str, bytes]) -> Model:
    return Model(made[request.param])


def test_the_committed_files_are_what_the_program_writes(made):
    there = {path.name: path.read_bytes() for path in AVATARS.iterdir()}
    assert there == made, "run: python -m demo.make_avatars"


def test_there_are_several_looks_and_each_is_small(made):
    assert len(MODELS) >= 4
    assert all(len(made[name]) < 400_000 for name in MODELS)
    listed = json.loads(made["avatars.json"])["avatars"]
    assert [entry["file"] for entry in listed] == MODELS
    assert all(entry["id"] and entry["name"] for entry in listed)


def test_every_bone_an_avatar_moves_is_there_once(model):
    bones = model.vrm["humanoid"]["humanBones"]
    assert set(bones) >= REQUIRED
    assert set(bones) <= set(BONES)
    nodes = [bone["node"] for bone in bones.values()]
    assert len(set(nodes)) == len(nodes)
    assert all(0 <= node < len(model.gltf["nodes"]) for node in nodes)


def test_nodes_form_one_tree_in_which_every_bone_hangs_on_the_hips(model):
    parent = {
        child: i for i, node in enumerate(model.gltf["nodes"]) for child in node.get("children", ())
    }
    hips = model.vrm["humanoid"]["humanBones"]["hips"]["node"]
    for bone in model.vrm["humanoid"]["humanBones"].values():
        node, steps = bone["node"], 0
        while node != hips:
            node, steps = parent[node], steps + 1
            assert steps < 50


def test_every_preset_is_there_and_all_but_neutral_move_the_face(model):
    presets = model.vrm["expressions"]["preset"]
    assert set(presets) == set(EXPRESSIONS)
    for name, preset in presets.items():
        moved = 0.0
        for bind in preset.get("morphTargetBinds", ()):
            mesh = model.gltf["nodes"][bind["node"]]["mesh"]
            target = model.gltf["meshes"][mesh]["primitives"][0]["targets"][bind["index"]]
            moved = max(abs(c) for point in model.values(target["POSITION"]) for c in point)
        assert (moved > 0.004) == (name != "neutral"), f"{name} moves the face by {moved} m"


def test_accessors_say_the_least_and_most_they_hold(model):
    checked = 0
    for i, item in enumerate(model.gltf["accessors"]):
        if "min" not in item:
            continue
        columns = list(zip(*model.values(i), strict=True))
        assert item["min"] == pytest.approx([min(c) for c in columns])
        assert item["max"] == pytest.approx([max(c) for c in columns])
        checked += 1
    assert checked >= len(EXPRESSIONS)


def test_vertices_are_whole(model):
    joints = len(model.gltf["skins"][0]["joints"])
    for primitive in model.primitives():
        at = primitive["attributes"]
        count = model.gltf["accessors"][at["POSITION"]]["count"]
        assert {model.gltf["accessors"][a]["count"] for a in at.values()} == {count}
        indices = [i for (i,) in model.values(primitive["indices"])]
        assert len(indices) % 3 == 0
        assert max(indices) < count
        assert all(sum(w) == 255 for w in model.values(at["WEIGHTS_0"]))
        assert all(max(j) < joints for j in model.values(at["JOINTS_0"]))
        for x, y, z in model.values(at["NORMAL"]):
            assert x * x + y * y + z * z == pytest.approx(1, abs=0.01)


def test_the_figure_stands_on_the_floor_and_looks_at_us(model):
    body = model.gltf["accessors"][model.primitives()[0]["attributes"]["POSITION"]]
    assert body["min"][1] == pytest.approx(0, abs=0.01)
    assert 1.3 < body["max"][1] < 1.9
    face = model.values(model.primitives()[1]["attributes"]["POSITION"])
    assert all(z > 0 for _, _, z in face), "VRM 1.0 avatars look along +Z"


def test_the_licence_is_stated_in_full(model):
    meta = model.vrm["meta"]
    assert meta["name"]
    assert meta["authors"]
    assert meta["licenseUrl"] == "https://vrm.dev/licenses/1.0/"
    assert meta["avatarPermission"] == "everyone"
    for field in (
        *("allowExcessivelyViolentUsage", "allowExcessivelySexualUsage"),
        *("allowPoliticalOrReligiousUsage", "allowAntisocialOrHateUsage", "allowRedistribution"),
    ):
        assert isinstance(meta[field], bool)
    assert {"commercialUsage", "creditNotation", "modification"} <= set(meta)


def test_spring_chains_lead_from_parent_to_child(model):
    springs = model.gltf["extensions"]["VRMC_springBone"]["springs"]
    for spring in springs:
        nodes = [joint["node"] for joint in spring["joints"]]
        assert len(nodes) >= 2
        for above, below in pairwise(nodes):
            assert below in model.gltf["nodes"][above]["children"]


def test_nothing_in_a_file_points_elsewhere(model):
    assert "uri" not in model.gltf["buffers"][0]
    assert all("bufferView" in image for image in model.gltf["images"])
