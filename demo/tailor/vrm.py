"""Writes a figure as a VRM 1.0 file: glTF 2.0 binary with VRMC_vrm, VRMC_materials_mtoon and
VRMC_springBone.

Numbers are rounded before they are packed, so that another machine's mathematics gives the same
bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from demo.tailor.gltf import FLOAT, UBYTE, USHORT, Binary, glb, linear, png, rounded
from demo.tailor.hair import Chain
from demo.tailor.shapes import Mesh, Point, Weights, sub
from demo.tailor.skeleton import EYE_HEIGHT, SKELETON

_SHUT_EYES = {"happy", "blink", "blinkLeft", "blinkRight"}
_WIDTH = 32  # swatches in a palette


@dataclass(frozen=True)
class Figure:
    """What a look is made of; `palette` maps a swatch to its lit and its shaded colour, as
    0xRRGGBB."""

    name: str
    body: Mesh
    face: Mesh
    morphs: dict[str, list[Point]]
    chains: list[Chain]
    palette: dict[str, tuple[int, int]]
    outline: int


def write(figure: Figure) -> bytes:
    """The bytes of the .vrm file."""
    binary = Binary()
    nodes, index = _nodes(figure.chains)
    joints = list(index)
    body_node, face_node = len(nodes), len(nodes) + 1
    swatches = list(figure.palette)
    meshes = []
    for name, mesh, material, morphs in (
        ("Body", figure.body, 0, {}),
        ("Face", figure.face, 1, figure.morphs),
    ):
        primitive = _primitive(binary, mesh, joints, swatches)
        primitive["material"] = material
        item: dict[str, Any] = {"name": name, "primitives": [primitive]}
        if morphs:
            primitive["targets"] = [{"POSITION": binary.sparse(m)} for m in morphs.values()]
            item["extras"] = {"targetNames": list(morphs)}
        meshes.append(item)
    nodes.append({"name": "Body", "mesh": 0, "skin": 0})
    nodes.append({"name": "Face", "mesh": 1, "skin": 0})
    inverse = b"".join(
        struct.pack("<16f", 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, *(-c for c in _place(n, figure)), 1)
        for n in joints
    )
    skin = {
        "joints": [index[n] for n in joints],
        "inverseBindMatrices": binary.accessor(inverse, FLOAT, "MAT4", len(joints)),
        "skeleton": index["hips"],
    }
    images = [
        {"name": name, "mimeType": "image/png", "bufferView": binary.view(_palette(figure, k))}
        for k, name in enumerate(("lit", "shade"))
    ]
    gltf = {
        "asset": {"version": "2.0", "generator": "V-Chat demo/tailor"},
        "extensionsUsed": ["VRMC_vrm", "VRMC_materials_mtoon", "VRMC_springBone"],
        "scene": 0,
        "scenes": [{"nodes": [index["hips"], body_node, face_node]}],
        "nodes": nodes,
        "meshes": meshes,
        "skins": [skin],
        "materials": [_material("Body", figure.outline), _material("Face", None)],
        "textures": [{"sampler": 0, "source": 0}, {"sampler": 0, "source": 1}],
        "samplers": [{"magFilter": 9728, "minFilter": 9728, "wrapS": 33071, "wrapT": 33071}],
        "images": images,
        "extensions": {
            "VRMC_vrm": _vrm(figure, index, face_node),
            "VRMC_springBone": _springs(figure.chains, index),
        },
        "accessors": binary.accessors,
        "bufferViews": binary.views,
        "buffers": [{"byteLength": len(binary.data)}],
    }
    return glb(gltf, bytes(binary.data))


def _place(node: str, figure: Figure) -> Point:
    if node in SKELETON:
        return rounded(SKELETON[node][1])
    chain = next(c for c in figure.chains if node.startswith(c.name))
    return rounded(chain.points[int(node.removeprefix(chain.name))])


def _nodes(chains: list[Chain]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    places: dict[str, tuple[str | None, Point]] = dict(SKELETON)
    for chain in chains:
        for i, point in enumerate(chain.points):
            places[chain.bone(i)] = (chain.bone(i - 1) if i else chain.parent, point)
    index = {name: i for i, name in enumerate(places)}
    nodes: list[dict[str, Any]] = []
    for name, (parent, at) in places.items():
        base = places[parent][1] if parent else (0.0, 0.0, 0.0)
        step = rounded(sub(rounded(at), rounded(base)))
        node: dict[str, Any] = {"name": name, "translation": list(step)}
        children = [index[n] for n, (p, _) in places.items() if p == name]
        if children:
            node["children"] = children
        nodes.append(node)
    return nodes, index


def _primitive(
    binary: Binary, mesh: Mesh, joints: list[str], swatches: list[str]
) -> dict[str, Any]:
    count = len(mesh.positions)
    normals = [rounded(n, 3) for n in mesh.normals()]
    ids, weights, uv = bytearray(), bytearray(), bytearray()
    for bones, swatch in zip(mesh.bones, mesh.swatches, strict=True):
        for joint, weight in _four(bones, joints):
            ids.append(joint)
            weights.append(weight)
        u = (swatches.index(swatch) + 0.5) / _WIDTH
        uv += struct.pack("<2H", round(u * 65535), 32768)
    flat = [v for t in mesh.triangles for v in t]
    return {
        "attributes": {
            "POSITION": binary.vectors(mesh.positions, limits=True),
            "NORMAL": binary.vectors(normals, limits=False),
            "TEXCOORD_0": binary.accessor(
                bytes(uv), USHORT, "VEC2", count, normalized=True, target=34962
            ),
            "JOINTS_0": binary.accessor(bytes(ids), UBYTE, "VEC4", count, target=34962),
            "WEIGHTS_0": binary.accessor(
                bytes(weights), UBYTE, "VEC4", count, normalized=True, target=34962
            ),
        },
        "indices": binary.accessor(
            struct.pack(f"<{len(flat)}H", *flat), USHORT, "SCALAR", len(flat), target=34963
        ),
    }


def _four(bones: Weights, joints: list[str]) -> list[tuple[int, int]]:
    """At most four (joint, weight of 255); the weights add up to 255."""
    best = sorted(bones.items(), key=lambda item: (-round(item[1], 6), item[0]))[:4]
    total = sum(w for _, w in best)
    out = [(joints.index(n), round(255 * w / total)) for n, w in best]
    out[0] = (out[0][0], out[0][1] + 255 - sum(w for _, w in out))
    out = [(j if w else 0, w) for j, w in out]
    return out + [(0, 0)] * (4 - len(out))


def _material(name: str, outline: int | None) -> dict[str, Any]:
    toon: dict[str, Any] = {
        "specVersion": "1.0",
        "shadeColorFactor": [1, 1, 1],
        "shadeMultiplyTexture": {"index": 1},
        "shadingShiftFactor": -0.1,
        "shadingToonyFactor": 0.88,
        "giEqualizationFactor": 0.9,
        "rimLightingMixFactor": 1,
        "parametricRimColorFactor": [0.1, 0.1, 0.12] if outline is not None else [0, 0, 0],
        "parametricRimFresnelPowerFactor": 4,
        "parametricRimLiftFactor": 0,
        "outlineWidthMode": "none",
    }
    if outline is not None:
        toon |= {
            "outlineWidthMode": "worldCoordinates",
            "outlineWidthFactor": 0.0022,
            "outlineColorFactor": linear(outline),
            "outlineLightingMixFactor": 0.6,
        }
    return {
        "name": name,
        "doubleSided": outline is not None,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 0}, "metallicFactor": 0, "roughnessFactor": 0.9,
        },
        "extensions": {"VRMC_materials_mtoon": toon},
    }  # fmt: skip


def _vrm(figure: Figure, index: dict[str, int], face_node: int) -> dict[str, Any]:
    presets: dict[str, Any] = {"neutral": {"isBinary": False}}
    for i, name in enumerate(figure.morphs):
        mouth = name in {"happy", "angry", "sad", "relaxed", "surprised"}
        presets[name] = {
            "isBinary": False,
            "morphTargetBinds": [{"node": face_node, "index": i, "weight": 1}],
            "overrideBlink": "blend" if name in {"happy", "relaxed", "sad", "angry"} else "none",
            "overrideLookAt": "blend" if name in _SHUT_EYES else "none",
            "overrideMouth": "blend" if mouth else "none",
        }
    span = {"inputMaxValue": 45, "outputScale": 1}
    return {
        "specVersion": "1.0",
        "meta": {
            "name": figure.name,
            "version": "1.0",
            "authors": ["The V-Chat authors"],
            "copyrightInformation": "Made by the program demo/make_avatars.py of V-Chat",
            "licenseUrl": "https://vrm.dev/licenses/1.0/",
            "avatarPermission": "everyone",
            "allowExcessivelyViolentUsage": False,
            "allowExcessivelySexualUsage": False,
            "commercialUsage": "corporation",
            "allowPoliticalOrReligiousUsage": False,
            "allowAntisocialOrHateUsage": False,
            "creditNotation": "unnecessary",
            "allowRedistribution": True,
            "modification": "allowModificationRedistribution",
        },
        "humanoid": {"humanBones": {name: {"node": index[name]} for name in SKELETON}},
        "lookAt": {
            "offsetFromHeadBone": [0, round(EYE_HEIGHT - SKELETON["head"][1][1], 4), 0.1],
            "type": "expression",
            "rangeMapHorizontalInner": span,
            "rangeMapHorizontalOuter": span,
            "rangeMapVerticalDown": span,
            "rangeMapVerticalUp": span,
        },
        "expressions": {"preset": presets},
    }


def _springs(chains: list[Chain], index: dict[str, int]) -> dict[str, Any]:
    def ball(bone: str, offset: list[float], radius: float) -> dict[str, Any]:
        return {"node": index[bone], "shape": {"sphere": {"offset": offset, "radius": radius}}}

    return {
        "specVersion": "1.0",
        "colliders": [
            ball("head", [0, 0.14, 0], 0.14),
            ball("upperChest", [0, 0.02, 0], 0.1),
            ball("spine", [0, 0, 0], 0.1),
        ],
        "colliderGroups": [{"name": "body", "colliders": [0, 1, 2]}],
        "springs": [
            {
                "name": chain.name,
                "colliderGroups": [0],
                "joints": [
                    {
                        "node": index[chain.bone(i)],
                        "hitRadius": chain.radius,
                        "stiffness": chain.stiffness,
                        "gravityPower": chain.gravity,
                        "gravityDir": [0, -1, 0],
                        "dragForce": chain.drag,
                    }
                    for i in range(len(chain.points))
                ],
            }
            for chain in chains
        ],
    }


def _palette(figure: Figure, layer: int) -> bytes:
    colours = [pair[layer] for pair in figure.palette.values()]
    row = b"".join(c.to_bytes(3, "big") for c in colours + [0] * (_WIDTH - len(colours)))
    return png(_WIDTH, 4, (b"\0" + row) * 4)
