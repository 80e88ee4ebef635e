"""A VRM 0 file out of one of our VRM 1.0 files: the same figure, seen from the other side.

Where VRM 1.0 looks along +Z, VRM 0 looks along −Z, and it says everything else in another extension
(https://github.com/vrm-c/vrm-specification/tree/master/specification/0.0).
"""

import json
import struct
from typing import Any

from demo.tailor.gltf import glb

_PRESETS = {
    "happy": "joy", "angry": "angry", "sad": "sorrow", "relaxed": "fun", "neutral": "neutral",
    "aa": "a", "ih": "i", "ou": "u", "ee": "e", "oh": "o",
    "blink": "blink", "blinkLeft": "blink_l", "blinkRight": "blink_r",
    "lookUp": "lookup", "lookDown": "lookdown", "lookLeft": "lookleft", "lookRight": "lookright",
}  # fmt: skip


def as_vrm0(vrm: bytes) -> bytes:
    """`vrm` is a file of demo/avatars."""
    (length,) = struct.unpack_from("<I", vrm, 12)
    gltf: dict[str, Any] = json.loads(vrm[20 : 20 + length])
    data = bytearray(vrm[28 + length :])
    _turn_around(gltf, data)
    new = gltf["extensions"]["VRMC_vrm"]
    for material in gltf["materials"]:
        material["extensions"] = {}
    gltf["extensionsUsed"] = ["VRM"]
    gltf["extensions"] = {
        "VRM": {
            "exporterVersion": "V-Chat tests",
            "specVersion": "0.0",
            "meta": _meta(new["meta"]),
            "humanoid": {
                "humanBones": [
                    {"bone": name, "node": bone["node"], "useDefaultValues": True}
                    for name, bone in new["humanoid"]["humanBones"].items()
                ]
            },
            "firstPerson": {
                "firstPersonBone": new["humanoid"]["humanBones"]["head"]["node"],
                "firstPersonBoneOffset": {"x": 0, "y": 0.1, "z": 0},
                "lookAtTypeName": "BlendShape",
                **{
                    f"lookAt{way}": {"xRange": 45, "yRange": 1}
                    for way in (
                        *("HorizontalInner", "HorizontalOuter"),
                        *("VerticalDown", "VerticalUp"),
                    )
                },
            },
            "blendShapeMaster": {"blendShapeGroups": _expressions(gltf, new["expressions"])},
            "secondaryAnimation": {"boneGroups": [], "colliderGroups": []},
            "materialProperties": [_material(one["name"]) for one in gltf["materials"]],
        }
    }
    return glb(gltf, bytes(data))


def _turn_around(gltf: dict[str, Any], data: bytearray) -> None:
    for node in gltf["nodes"]:
        if "translation" in node:
            x, y, z = node["translation"]
            node["translation"] = [-x, y, -z]
    for mesh in gltf["meshes"]:
        for primitive in mesh["primitives"]:
            for key in ("POSITION", "NORMAL"):
                _turn(gltf, data, gltf["accessors"][primitive["attributes"][key]], 12, (0, 8))
            for target in primitive.get("targets", []):
                _turn(gltf, data, gltf["accessors"][target["POSITION"]], 12, (0, 8))
    for skin in gltf["skins"]:  # the bones are not turned themselves: only where they are
        bind = gltf["accessors"][skin["inverseBindMatrices"]]
        _turn(gltf, data, bind, 64, (48, 56))


def _turn(
    gltf: dict[str, Any], data: bytearray, accessor: dict[str, Any], size: int, at: tuple[int, ...]
) -> None:
    """Negate the floats at these bytes of each item."""
    sparse = accessor.get("sparse")
    view = gltf["bufferViews"][(sparse["values"] if sparse else accessor)["bufferView"]]
    for item in range(sparse["count"] if sparse else accessor["count"]):
        for offset in at:
            place = view["byteOffset"] + item * size + offset
            (value,) = struct.unpack_from("<f", data, place)
            struct.pack_into("<f", data, place, -value)
    if "min" in accessor:
        (x0, y0, z0), (x1, y1, z1) = accessor["min"], accessor["max"]
        accessor["min"], accessor["max"] = [-x1, y0, -z1], [-x0, y1, -z0]


def _meta(new: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": new["name"],
        "version": "0",
        "author": new["authors"][0],
        "allowedUserName": "Everyone",
        "violentUssageName": "Disallow",
        "sexualUssageName": "Disallow",
        "commercialUssageName": "Allow",
        "licenseName": "Redistribution_Prohibited",
    }


def _expressions(gltf: dict[str, Any], new: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "presetName": _PRESETS.get(name, "unknown"),
            "isBinary": False,
            "materialValues": [],
            "binds": [
                {"mesh": gltf["nodes"][bind["node"]]["mesh"], "index": bind["index"], "weight": 100}
                for bind in said.get("morphTargetBinds", [])
            ],
        }
        for name, said in new["preset"].items()
    ]


def _material(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "shader": "VRM/MToon",
        "renderQueue": 2000,
        "floatProperties": {"_ShadeToony": 0.88, "_ShadeShift": -0.1, "_CullMode": 0},
        "vectorProperties": {"_Color": [1, 1, 1, 1], "_ShadeColor": [1, 1, 1, 1]},
        "textureProperties": {"_MainTex": 0, "_ShadeTexture": 1},
        "keywordMap": {},
        "tagMap": {"RenderType": "Opaque"},
    }
