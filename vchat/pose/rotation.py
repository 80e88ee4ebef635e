"""Rotations in few bits: absolute ones in 32 bits, small turns on a grid. Formulas: docs/pose.md.

Only +, -, *, / and square root are used, which IEEE 754 rounds alike everywhere, so that encoders
in any language agree to the last bit. Quaternions are (x, y, z, w).
"""

from __future__ import annotations

from math import floor, sqrt

from vchat.pose.value import Quaternion
from vchat.pose_body import PoseError

# A point of the turn grid: `half` (0 or 1), then nx, ny, nz; it lies at n + half / 2 on each axis.
Turn = tuple[int, int, int, int]

SMALLEST_THREE_SCALE = 511.0
# 1 / sqrt(2): what no component but the largest can exceed.
SQRT_HALF = 0.7071067811865476
# Grid points per unit of tan(angle / 4). The farthest a rotation can be from a point of the
# body-centred grid is sqrt(5) / TURN_GRID radians: 0.29795 degrees.
TURN_GRID = 430.0
# cos(0.298 degrees / 2): two rotations whose |dot| is at least this count as one.
SAME_DOT = 0.9999966185962373


def normalized(q: Quaternion) -> Quaternion:
    """The unit quaternion along `q`. Raises PoseError if there is none."""
    x, y, z, w = q
    length = sqrt(x * x + y * y + z * z + w * w)
    if not 1e-6 < length < 1e6:  # NaN fails too
        raise PoseError("A rotation must be a finite quaternion that is not zero.")
    return (x / length, y / length, z / length, w / length)


def same(a: Quaternion, b: Quaternion) -> bool:
    """Whether two unit quaternions are the same rotation to within 0.298 degrees."""
    return abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]) >= SAME_DOT


def pack(q: Quaternion) -> int:
    """A unit quaternion as u32: smallest three, 10 bits each. Error at most 0.275 degrees."""
    largest = 0
    for i in (1, 2, 3):
        if abs(q[i]) > abs(q[largest]):
            largest = i
    sign = -1.0 if q[largest] < 0 else 1.0
    packed = largest << 30
    shift = 0
    for i in range(4):
        if i != largest:
            n = floor(sign * q[i] / SQRT_HALF * SMALLEST_THREE_SCALE + 0.5)
            packed |= (min(max(n, -511), 511) + 511) << shift
            shift += 10
    return packed


def unpack(packed: int) -> Quaternion:
    """The unit quaternion of any u32."""
    a = ((packed & 1023) - 511) / SMALLEST_THREE_SCALE * SQRT_HALF
    b = ((packed >> 10 & 1023) - 511) / SMALLEST_THREE_SCALE * SQRT_HALF
    c = ((packed >> 20 & 1023) - 511) / SMALLEST_THREE_SCALE * SQRT_HALF
    d = sqrt(max(0.0, 1.0 - (a * a + b * b + c * c)))
    largest = packed >> 30
    if largest == 0:
        return normalized((d, a, b, c))
    if largest == 1:
        return normalized((a, d, b, c))
    if largest == 2:
        return normalized((a, b, d, c))
    return normalized((a, b, c, d))


def turn_between(base: Quaternion, q: Quaternion) -> Turn:
    """The grid point nearest to the turn that takes `base` to `q`, both unit."""
    bx, by, bz, bw = base
    x, y, z, w = q
    tw = bw * w + bx * x + by * y + bz * z
    tx = bw * x - bx * w - by * z + bz * y
    ty = bw * y + bx * z - by * w - bz * x
    tz = bw * z - bx * y + by * x - bz * w
    if tw < 0:
        tx, ty, tz, tw = -tx, -ty, -tz, -tw
    px = tx / (1.0 + tw) * TURN_GRID
    py = ty / (1.0 + tw) * TURN_GRID
    pz = tz / (1.0 + tw) * TURN_GRID
    ex, ey, ez = floor(px + 0.5), floor(py + 0.5), floor(pz + 0.5)
    ox, oy, oz = floor(px), floor(py), floor(pz)
    even = (px - ex) * (px - ex) + (py - ey) * (py - ey) + (pz - ez) * (pz - ez)
    rx, ry, rz = px - ox - 0.5, py - oy - 0.5, pz - oz - 0.5
    odd = rx * rx + ry * ry + rz * rz
    return (0, ex, ey, ez) if even <= odd else (1, ox, oy, oz)


def turned(base: Quaternion, turn: Turn) -> Quaternion:
    """`base` turned by a grid point, unit."""
    half, nx, ny, nz = turn
    px = (nx + half * 0.5) / TURN_GRID
    py = (ny + half * 0.5) / TURN_GRID
    pz = (nz + half * 0.5) / TURN_GRID
    s = px * px + py * py + pz * pz
    tx, ty, tz = 2.0 * px / (1.0 + s), 2.0 * py / (1.0 + s), 2.0 * pz / (1.0 + s)
    tw = (1.0 - s) / (1.0 + s)
    bx, by, bz, bw = base
    return normalized(
        (
            bw * tx + bx * tw + by * tz - bz * ty,
            bw * ty - bx * tz + by * tw + bz * tx,
            bw * tz + bx * ty - by * tx + bz * tw,
            bw * tw - bx * tx - by * ty - bz * tz,
        )
    )
