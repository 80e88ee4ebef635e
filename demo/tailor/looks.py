"""The wardrobe: six people to be, each put together from the body, the face, the hair and a
palette."""

from __future__ import annotations

import math
from collections.abc import Callable

from demo.tailor import body, hair
from demo.tailor.dressing import Look, base, bib, carry, hood_edge, hood_ring, screen_of
from demo.tailor.hair import HEAD, Chain
from demo.tailor.head import Head
from demo.tailor.shapes import UP, Station, rounded
from demo.tailor.vrm import Figure

_SKIN = {"skin": 0xFFE3D1, "blush": 0xFFBFB3}


def hana() -> Figure:
    """Pink twin tails and a sailor dress."""
    look = Look(
        "Hana",
        {
            **_SKIN,
            "hair": 0xFF9FB8,
            "brow": 0xC9617F,
            "iris": 0x4FC3C9,
            "irisDark": 0x22718C,
            "dress": 0x35477D,
            "collar": 0xFFFFFF,
            "ribbon": 0xF0506E,
            "sock": 0xFFFFFF,
            "shoe": 0x7A3B43,
            "sole": 0xF3E7DE,
            "tie": 0x35477D,
        },
    )
    m, head = look.body, look.head
    base(look)
    body.torso(m, [(0.66, 1.06, "dress", 0.012), (0.985, 1.085, "collar", 0.018)])
    body.skirt(m, body.Skirt(0.80, 0.50, 0.105, pleats=14), "dress", "collar")
    body.arms(
        m, [(0.0, 0.3, "dress", 0.014), (0.26, 0.34, "collar", 0.016), (0.2, 1, "skin", 0)], "skin"
    )
    body.legs(m, [(0, 0.62, "skin", 0), (0.55, 1, "sock", 0.004)], "shoe", "sole")
    hair.bow(m, (0, 1.0, 0.098), 0.052, "ribbon", "ribbon", {"upperChest": 1.0})
    hair.cap(m, head, "hair", hair.hairline(1.37, 1.24, 1.14))
    hair.bangs(
        m,
        head,
        "hair",
        [
            (-0.75, -1.0, 1.255),
            (-0.38, -0.55, 1.285),
            (-0.05, -0.12, 1.275),
            (0.28, 0.42, 1.29),
            (0.72, 0.98, 1.25),
        ],
    )
    hair.curtain(m, head, "hair", [-1.25, 1.25], 1.1, width=0.032)
    for chain in hair.both(
        Chain(
            "Twin",
            "head",
            (
                (0.13, 1.39, -0.05),
                (0.215, 1.37, -0.07),
                (0.262, 1.24, -0.075),
                (0.272, 1.08, -0.07),
                (0.262, 0.92, -0.06),
                (0.23, 0.79, -0.045),
            ),
            stiffness=0.75,
            gravity=0.25,
            radius=0.03,
        )
    ):
        look.chains.append(chain)
        hair.swinging(m, chain, (0.022, 0.055, 0.066, 0.058, 0.04, 0.004), "hair")
        x = chain.points[0][0]
        hair.bow(m, (x * 1.12, 1.4, -0.045), 0.058, "ribbon", "ribbon", HEAD)
    return look.finish()


def sora() -> Figure:
    """Tousled blue hair, a yellow hoodie, shorts and trainers."""
    look = Look(
        "Sora",
        {
            "skin": 0xFBD9BF,
            "blush": 0xF8B5A0,
            "hair": 0x3E6FB5,
            "brow": 0x274A80,
            "iris": 0xF2A93B,
            "irisDark": 0x9A5A1C,
            "hoodie": 0xFFCB4D,
            "inside": 0xE8A93A,
            "string": 0xFFFFFF,
            "shorts": 0x3C4257,
            "sock": 0xFFFFFF,
            "shoe": 0xE4574F,
            "sole": 0xFFFFFF,
        },
        outline=0x2F3350,
    )
    m, head = look.body, look.head
    base(look)
    body.torso(
        m,
        [
            (0.66, 0.80, "shorts", 0.004),
            (0.71, 1.06, "hoodie", 0.024),
            (0.715, 0.755, "inside", 0.026),
        ],
    )
    hood_ring(m, "hoodie")
    for sign in (1, -1):
        hair.lock(
            m,
            [(sign * 0.03, 1.04, 0.1), (sign * 0.032, 0.99, 0.112), (sign * 0.033, 0.93, 0.114)],
            "string",
            0.006,
            depth=1,
            taper=(1, 1, 1, 1),
            segments=6,
        )
    carry(m, "upperChest", last=2 * 42)
    body.arms(m, [(0, 0.93, "hoodie", 0.014), (0.86, 0.97, "inside", 0.012)], "skin", 1.05)
    body.legs(
        m,
        [(0, 0.46, "shorts", 0.022), (0.3, 0.9, "skin", 0), (0.78, 1, "sock", 0.006)],
        "shoe",
        "sole",
    )
    hair.cap(m, head, "hair", hair.hairline(1.36, 1.25, 1.15), 0.02)
    hair.bangs(
        m,
        head,
        "hair",
        [
            (-0.55, -1.05, 1.24),
            (-0.2, -0.72, 1.265),
            (0.1, -0.32, 1.27),
            (0.35, 0.12, 1.285),
            (0.6, 0.55, 1.27),
            (0.8, 1.0, 1.235),
        ],
    )
    for az, y, lift in (
        (0.3, 1.43, 0.06),
        (-0.5, 1.42, 0.05),
        (1.3, 1.39, 0.05),
        (-1.4, 1.38, 0.05),
        (2.2, 1.36, 0.05),
        (-2.2, 1.37, 0.05),
        (2.9, 1.41, 0.055),
        (-2.9, 1.3, 0.04),
        (2.4, 1.27, 0.03),
        (-2.4, 1.26, 0.03),
        (1.7, 1.29, 0.02),
        (-1.7, 1.29, 0.02),
    ):
        root, mid, tip = (
            head.around(az, y - d, o)
            for d, o in ((-0.01, 0.0), (0.01, 0.035), (0.055, 0.06 + lift * 0.4))
        )
        hair.lock(m, [root, mid, tip], "hair", 0.05, depth=0.5)
    ahoge = Chain(
        "ahoge",
        "head",
        ((0, 1.45, 0.02), (0.01, 1.5, 0.045), (0.035, 1.515, 0.085)),
        stiffness=1.6,
        gravity=0,
    )
    look.chains.append(ahoge)
    hair.lock(m, ahoge.points, "hair", 0.014, depth=0.7, chain=ahoge)
    return look.finish()


def mikan() -> Figure:
    """An orange cat: bobbed hair, ears, a tail, and green dungarees over a striped shirt."""
    look = Look(
        "Mikan",
        {
            **_SKIN,
            "hair": 0xF59B4C,
            "brow": 0xA85E22,
            "iris": 0x6FBF4F,
            "irisDark": 0x2F7040,
            "earInside": 0xFFC9C0,
            "cream": 0xFFF6E6,
            "shirt": 0xFFF1DC,
            "stripe": 0xF08A6B,
            "denim": 0x4F9D8B,
            "button": 0xFFD45E,
            "shoe": 0x8C5A3C,
            "sole": 0xF7E8CF,
        },
        outline=0x57321F,
    )
    m, head = look.body, look.head
    base(look, ears=False)
    body.torso(
        m,
        [
            (0.66, 1.06, "shirt", 0.008),
            (0.66, 0.90, "denim", 0.018),
            (0.945, 0.965, "stripe", 0.0105),
            (1.0, 1.02, "stripe", 0.0105),
        ],
    )
    bib(m, "denim", "button")
    body.arms(
        m, [(0, 0.55, "shirt", 0.012), (0.5, 0.58, "stripe", 0.013), (0.5, 1, "skin", 0)], "skin"
    )
    body.legs(
        m,
        [(0, 0.86, "denim", 0.017), (0.8, 0.88, "shirt", 0.019), (0.7, 1, "skin", 0)],
        "shoe",
        "sole",
    )
    hair.cap(m, head, "hair", hair.hairline(1.37, 1.22, 1.13), 0.02)
    hair.bangs(
        m,
        head,
        "hair",
        [
            (-0.8, -0.95, 1.25),
            (-0.45, -0.52, 1.28),
            (-0.12, -0.14, 1.288),
            (0.2, 0.24, 1.284),
            (0.5, 0.58, 1.28),
            (0.85, 0.98, 1.25),
        ],
    )
    hair.curtain(
        m,
        head,
        "hair",
        [1.2, 1.55, 1.95, 2.4, 2.85, -2.85, -2.4, -1.95, -1.55, -1.2],
        1.1,
        width=0.056,
        flare=0.25,
    )
    hair.pointed_ears(m, "hair", "earInside", 0.13)
    tail = Chain(
        "tail",
        "hips",
        (
            (0, 0.72, -0.09),
            (0, 0.68, -0.19),
            (0.01, 0.72, -0.29),
            (0.02, 0.83, -0.34),
            (0.02, 0.94, -0.32),
            (0.01, 1.01, -0.27),
        ),
        stiffness=1.6,
        gravity=0,
        drag=0.3,
    )
    look.chains.append(tail)
    hair.swinging(m, tail, (0.02, 0.029, 0.033, 0.035, 0.036, 0.008), "hair", tip="cream")
    return look.finish()


def luna() -> Figure:
    """A small witch: pointed hat, long lilac hair, a dark dress, striped stockings."""
    look = Look(
        "Luna",
        {
            "skin": 0xFBE6E4,
            "blush": 0xF3BBC8,
            "hair": 0xB59BE8,
            "brow": 0x7458B0,
            "iris": 0xE65A9C,
            "irisDark": 0x7C2A78,
            "dress": 0x3B2F5E,
            "trim": 0xF2C14E,
            "stocking": 0xF4EFFB,
            "stripe": 0x6B4FA3,
            "hat": 0x3B2F5E,
            "shoe": 0x2C2340,
            "sole": 0x8D79B8,
        },
        outline=0x2A1E44,
    )
    m, head = look.body, look.head
    base(look)
    body.torso(
        m, [(0.66, 1.07, "dress", 0.01), (0.80, 0.825, "trim", 0.014), (1.03, 1.083, "trim", 0.012)]
    )
    body.skirt(m, body.Skirt(0.81, 0.40, 0.13), "dress", "trim")
    body.arms(m, [(0, 1.0, "dress", 0.01)], "skin")
    for side, sign in (("left", 1), ("right", -1)):
        cuff = [
            Station((sign * x, 1.035, 0), r, r, {side + "LowerArm": 1.0})
            for x, r in ((0.33, 0.042), (0.4, 0.056), (0.452, 0.07), (0.455, 0.05))
        ]
        m.tube(cuff, "dress", segments=14)
        m.tube(
            [
                Station((sign * x, 1.035, 0), 0.072, 0.072, {side + "LowerArm": 1.0})
                for x in (0.438, 0.456)
            ],
            "trim",
            segments=14,
        )
    bands: list[body.Band] = [(0, 1, "stocking", 0.003)]
    bands += [(t, t + 0.07, "stripe", 0.005) for t in (0.36, 0.5, 0.64, 0.78)]
    body.legs(m, bands, "shoe", "sole")
    hair.cap(m, head, "hair", hair.hairline(1.37, 1.22, 1.13))
    hair.bangs(
        m,
        head,
        "hair",
        [
            (-0.8, -1.0, 1.24),
            (-0.5, -0.6, 1.272),
            (-0.17, -0.2, 1.28),
            (0.17, 0.2, 1.28),
            (0.5, 0.6, 1.272),
            (0.8, 1.0, 1.24),
        ],
        1.385,
    )
    chains = [
        Chain(
            f"back{i}",
            "head",
            tuple((x * (1 + 0.05 * k), 1.22 - 0.15 * k, z - 0.014 * k) for k in range(4)),
            stiffness=1.1,
            gravity=0.25,
            radius=0.03,
        )
        for i, (x, z) in enumerate(((0.14, -0.05), (0.07, -0.14), (-0.07, -0.14), (-0.14, -0.05)))
    ]
    look.chains += chains
    hair.curtain(
        m,
        head,
        "hair",
        [1.7, 2.05, 2.4, 2.75, 3.14, -2.75, -2.4, -2.05, -1.7],
        0.80,
        width=0.062,
        chains=chains,
        flare=0.3,
    )
    hair.curtain(m, head, "hair", [-1.2, 1.2], 1.06, width=0.036)
    hat = [
        (1.362, 0.262, -0.01),
        (1.368, 0.275, -0.01),
        (1.376, 0.262, -0.01),
        (1.392, 0.18, -0.01),
        (1.41, 0.166, -0.01),
        (1.47, 0.125, -0.014),
        (1.55, 0.08, -0.03),
        (1.62, 0.046, -0.055),
        (1.67, 0.022, -0.095),
        (1.69, 0.004, -0.13),
    ]
    m.tube([Station((0, y, z), r, r * 0.97, HEAD) for y, r, z in hat], "hat", segments=24)
    m.tube(
        [Station((0, y, -0.012), r, r * 0.97, HEAD) for y, r in ((1.396, 0.18), (1.436, 0.155))],
        "trim",
        segments=24,
    )
    m.ball((0.03, 1.412, 0.155), (0.03, 0.03, 0.012), "stripe", HEAD)
    return look.finish()


def bolt() -> Figure:
    """A round-cornered robot with a screen for a face."""
    cyan = 0x6FF3F0
    look = Look(
        "Bolt",
        {
            "shell": 0xF3F5F8,
            "screen": 0x1D2A3F,
            "dark": 0x55617A,
            "accent": 0xFF8A3D,
            "glow": cyan,
            "iris": cyan,
            "irisDark": cyan,
            "pupil": cyan,
            "lash": cyan,
            "brow": cyan,
            "mouth": cyan,
            "tongue": 0x1D2A3F,
            "eye": 0x1D2A3F,
            "blush": 0x2F6E88,
            "sole": 0x3A4459,
        },
        outline=0x27324A,
        head=Head(square=3.2, jaw=0.0, width=0.172, depth=0.142, face=0.005),
    )
    m, head = look.body, look.head
    head.skull(m, "shell")
    body.neck(m, "dark")
    screen_of(m, head, "screen")
    for sign in (1, -1):
        for x, r, swatch in ((0.17, 0.052, "dark"), (0.186, 0.04, "accent")):
            m.tube(
                rounded(
                    [
                        Station((sign * (x - 0.012), 1.262, 0.012), r, r, HEAD),
                        Station((sign * (x + 0.012), 1.262, 0.012), r, r, HEAD),
                    ]
                ),
                swatch,
                segments=16,
                hint=UP,
            )
    antenna = Chain(
        "antenna",
        "head",
        ((0, 1.435, 0), (0, 1.475, 0), (0, 1.515, 0), (0, 1.55, 0)),
        stiffness=2.5,
        gravity=0,
        drag=0.2,
    )
    look.chains.append(antenna)
    hair.ball_on_stalk(m, antenna, "dark", "glow", 0.026)
    body.torso(
        m, [(0.66, 0.80, "dark", 0.004), (0.76, 1.07, "shell", 0.026), (0.80, 0.83, "accent", 0.03)]
    )
    m.ball((0, 0.95, 0.098), (0.03, 0.03, 0.016), "glow", {"chest": 1.0})
    body.arms(
        m,
        [
            (0, 0.45, "shell", 0.008),
            (0.4, 0.6, "dark", -0.004),
            (0.55, 1, "shell", 0.016),
            (0.92, 1, "accent", 0.02),
        ],
        "dark",
        1.05,
    )
    body.legs(
        m,
        [
            (0, 0.45, "shell", 0.004),
            (0.38, 0.62, "dark", -0.004),
            (0.58, 1, "shell", 0.022),
            (0.92, 1, "accent", 0.025),
        ],
        "shell",
        "sole",
    )
    return look.finish()


def momo() -> Figure:
    """A bunny suit: a soft hood with long ears and a round tail."""
    look = Look(
        "Momo",
        {
            **_SKIN,
            "hair": 0x8A5A44,
            "brow": 0x6B4232,
            "iris": 0xA86B4C,
            "irisDark": 0x5A3222,
            "fur": 0xFFF4F2,
            "inside": 0xFFBCC8,
            "belly": 0xFFE3E6,
            "sole": 0xFFBCC8,
            "scarf": 0x7FC8E8,
        },
        outline=0x6B4450,
    )
    m, head = look.body, look.head
    base(look, ears=False)
    body.torso(m, [(0.64, 1.08, "fur", 0.018)], plump=0.034)
    m.ball((0, 0.815, 0.088), (0.085, 0.1, 0.05), "belly", {"spine": 1.0}, segments=16)
    hood_ring(m, "scarf", 1.045, 0.088, 0.036)
    body.arms(m, [(0, 1, "fur", 0.014)], "fur", 1.2)
    body.legs(m, [(0, 1, "fur", 0.016)], "fur", "sole", 1.2)
    hair.bangs(
        m,
        head,
        "hair",
        [(-0.5, -0.85, 1.285), (-0.2, -0.45, 1.3), (0.15, 0.0, 1.308), (0.45, 0.55, 1.29)],
        1.4,
    )

    def opening(azimuth: float) -> float:
        c = math.cos(azimuth)
        return 1.12 if c < 0.45 else 1.12 + 0.255 * min(1.0, ((c - 0.45) / 0.22)) ** 0.5

    hair.cap(m, head, "fur", opening, 0.034)
    hood_edge(m, head, "inside")
    for chain in hair.both(
        Chain(
            "Ear",
            "head",
            (
                (0.065, 1.45, -0.01),
                (0.085, 1.53, -0.015),
                (0.105, 1.62, -0.02),
                (0.135, 1.70, -0.02),
                (0.175, 1.75, -0.01),
            ),
            stiffness=1.8,
            gravity=0.05,
            drag=0.3,
            radius=0.03,
        )
    ):
        look.chains.append(chain)
        hair.lock(
            m,
            chain.points,
            "fur",
            0.05,
            depth=0.42,
            chain=chain,
            taper=(0.8, 1, 1.1, 1.05, 0.8, 0.15),
            segments=12,
            steps=3,
        )
        front = [(x, y, z + 0.014) for x, y, z in chain.points]
        hair.lock(
            m,
            front,
            "inside",
            0.03,
            depth=0.36,
            chain=chain,
            taper=(0.7, 1, 1.1, 1.0, 0.7, 0.1),
            steps=3,
        )
    m.ball((0, 0.73, -0.135), (0.055, 0.055, 0.05), "fur", {"hips": 1.0}, segments=14)
    return look.finish()


LOOKS: dict[str, Callable[[], Figure]] = {
    "hana": hana,
    "sora": sora,
    "mikan": mikan,
    "luna": luna,
    "bolt": bolt,
    "momo": momo,
}
