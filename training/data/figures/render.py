# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Draws one person: tapered limbs with shading and outlines, sorted by depth, a head with a face, clothes.

Points are given projected: x, y in image pixels (y down), and depth towards the camera in body heights.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from training.data.figures.body import ANKLE, ELBOW, HIP, KNEE, NECK_JOINT, NOSE, SHOULDER, WRIST, Body, Colour, Looks

Image = npt.NDArray[np.uint8]
Point = npt.NDArray[np.float64]
Paint = Callable[[Colour, float], tuple[float, ...]]

_BITS = 3  # sub-pixel bits of OpenCV's drawing
_UNIT = 1 << _BITS
OUTLINED = 110  # people taller than this (pixels) get darker outlines


def fixed(point: Point) -> tuple[int, int]:
    """Image pixels -> OpenCV's fixed point."""
    return int(point[0] * _UNIT + 0.5), int(point[1] * _UNIT + 0.5)


def capsule(image: Image, a: Point, b: Point, ra: float, rb: float, colour: tuple[float, ...]) -> None:
    """A limb from a to b (image pixels) with a round end of radius ra and one of rb."""
    ax, ay, bx, by = (float(v) * _UNIT for v in (a[0], a[1], b[0], b[1]))
    ra, rb = ra * _UNIT, rb * _UNIT
    length = math.hypot(bx - ax, by - ay)
    if length > 0.01:
        nx, ny = (ay - by) / length, (bx - ax) / length  # across the limb
        corners = [
            (ax + nx * ra, ay + ny * ra), (bx + nx * rb, by + ny * rb),
            (bx - nx * rb, by - ny * rb), (ax - nx * ra, ay - ny * ra),
        ]  # fmt: skip
        cv2.fillConvexPoly(image, np.array(corners).astype(np.int32), colour, cv2.LINE_AA, _BITS)
    cv2.circle(image, (int(ax), int(ay)), max(1, int(ra)), colour, -1, cv2.LINE_AA, _BITS)
    cv2.circle(image, (int(bx), int(by)), max(1, int(rb)), colour, -1, cv2.LINE_AA, _BITS)


def draw_person(image: Image, looks: Looks, body: Body, height: float, light: Colour) -> None:
    """Draw onto a BGR image. `height` is the body's height in pixels, `light` a factor for each colour channel."""

    def paint(colour: Colour, shade: float = 1.0) -> tuple[float, ...]:
        return tuple(min(255.0, c * f * shade) for c, f in zip(colour, light, strict=True))

    _draw(image, looks, body, height, paint, details=True)


def draw_silhouette(mask: Image, looks: Looks, body: Body, height: float, label: int) -> None:
    """Draw the same shape onto a one-channel mask, filled with `label`."""
    _draw(mask, looks, body, height, lambda colour, shade: (float(label),), details=False)


def _draw(image: Image, looks: Looks, body: Body, height: float, paint: Paint, details: bool) -> None:
    outline = details and height > OUTLINED
    parts: list[tuple[float, Callable[[], None]]] = []

    def limb(a: Point, b: Point, ra: float, rb: float, colour: Colour, lift: float = 0.0) -> None:
        depth = float(a[2] + b[2]) / 2 + lift
        shade = 1 + 0.6 * min(0.15, max(-0.15, depth))  # what is nearer is lighter
        thick = looks.girth * height

        def draw() -> None:
            if outline:
                capsule(image, a, b, ra * thick * 1.06, rb * thick * 1.06, paint(colour, 0.72 * shade))
            capsule(image, a, b, ra * thick, rb * thick, paint(colour, shade))

        parts.append((depth, draw))

    joints = body.joints
    for side in (0, 1):
        shin = looks.trousers if looks.legs == 2 else looks.skin
        limb(joints[HIP + side], joints[KNEE + side], 0.062, 0.045, looks.trousers)
        limb(joints[KNEE + side], joints[ANKLE + side], 0.042, 0.028, shin)
        limb(joints[ANKLE + side], body.toes[side], 0.026, 0.020, looks.shoes, 0.002)
        upper = looks.shirt if looks.sleeves else looks.skin
        fore = looks.shirt if looks.sleeves == 2 else looks.skin
        limb(joints[SHOULDER + side], joints[ELBOW + side], 0.038, 0.029, 0.95 * upper)
        limb(joints[ELBOW + side], joints[WRIST + side], 0.028, 0.020, 0.95 * fore)
        limb(joints[WRIST + side], body.hands[side], 0.020, 0.018, looks.skin, 0.001)
    trunk = [SHOULDER, SHOULDER + 1, HIP, HIP + 1]
    shades = (0.72, 1.0) if outline else (1.0,)
    parts.append((float(joints[trunk, 2].mean()), lambda: _trunk(image, looks, body, height, paint, shades, details)))
    if looks.bag is not None:
        bag, lower, wide = looks.bag, body.back + (0, 0.12 * height, 0), looks.girth * height
        parts.append(
            (float(body.back[2]), lambda: capsule(image, body.back, lower, 0.07 * wide, 0.08 * wide, paint(bag, 1)))
        )
    parts.append((float(body.head[2]) + 0.001, lambda: _head(image, looks, body, height, paint, details)))
    for _, draw in sorted(parts, key=lambda part: part[0]):
        draw()


def _trunk(
    image: Image, looks: Looks, body: Body, height: float, paint: Paint, shades: tuple[float, ...], details: bool
) -> None:
    left, right = body.joints[SHOULDER, :2], body.joints[SHOULDER + 1, :2]
    hip_left, hip_right = body.joints[HIP, :2], body.joints[HIP + 1, :2]
    wide = looks.girth * height
    waist = np.array([0, -0.02 * height])
    for shade in shades:
        grow = 1.06 if shade < 1 else 1.0  # the darker first coat stands out as an outline
        shirt = paint(looks.shirt, shade)
        capsule(image, left, right, 0.045 * wide * grow, 0.045 * wide * grow, shirt)
        capsule(image, hip_left, hip_right, 0.058 * wide * grow, 0.058 * wide * grow, paint(looks.trousers, shade))
        low = (hip_left + hip_right) / 2 + 1.5 * waist
        capsule(image, (left + right) / 2, low, 0.085 * wide * grow, 0.075 * wide * grow, shirt)
        corners = np.array([left, right, hip_right + waist, hip_left + waist])
        hull = cv2.convexHull(np.round(corners * _UNIT).astype(np.int32))
        cv2.fillConvexPoly(image, hull, shirt, cv2.LINE_AA, _BITS)
    if looks.stripes is not None and details:
        for share in (0.15, 0.38, 0.62, 0.85):
            a, b = (top * (1 - share) + low * share for top, low in ((left, hip_left), (right, hip_right)))
            thick = max(1, int(height * 0.012))
            cv2.line(image, fixed(a), fixed(b), paint(looks.stripes, 1.0), thick, cv2.LINE_AA, _BITS)


def _head(image: Image, looks: Looks, body: Body, height: float, paint: Paint, details: bool) -> None:
    radius = 0.058 * looks.head_size * height
    thick, centre = looks.girth * height, body.head
    capsule(image, body.joints[NECK_JOINT], centre, 0.032 * thick, 0.035 * thick, paint(looks.skin, 0.9))
    skull = ((float(centre[0]), float(centre[1])), (1.75 * radius, 2.3 * radius), 0.0)
    cv2.ellipse(image, skull, paint(looks.skin, 1.0), -1, cv2.LINE_AA)
    if not details:
        return
    facing = float(body.joints[NOSE, 2] - centre[2])  # above 0 the face looks towards the camera
    hair = body.hair
    if facing < 0.02:
        cap = ((float(hair[0]), float(hair[1])), (1.8 * radius, 2.0 * radius), 0.0)
        cv2.ellipse(image, cap, paint(looks.hair, 1.0), -1, cv2.LINE_AA)
    else:
        middle, axes = (int(hair[0]), int(hair[1] - 0.1 * radius)), (max(1, int(0.92 * radius)), max(1, int(radius)))
        cv2.ellipse(image, middle, axes, 0, 180, 360, paint(looks.hair, 1.0), -1, cv2.LINE_AA)
    if facing > -0.015:
        _face(image, looks, body, radius, paint)


def _face(image: Image, looks: Looks, body: Body, radius: float, paint: Paint) -> None:
    def dot(point: Point, size: float, colour: tuple[float, ...]) -> None:
        cv2.circle(image, fixed(point), max(4, int(size * radius * _UNIT)), colour, -1, cv2.LINE_AA, _BITS)

    for eye in body.eyes:
        if eye[2] - body.head[2] > 0.005:
            dot(eye, 0.13, paint(np.array([20.0, 20.0, 20.0]), 1.0))
    dot(body.joints[NOSE], 0.16, paint(looks.skin, 0.72))
    half = np.array([0.25 * radius, 0, 0])
    ends = fixed(body.mouth - half), fixed(body.mouth + half)
    lips = paint(np.array([60.0, 60.0, 140.0]), 1.0)
    cv2.line(image, *ends, lips, max(1, int(radius * 0.12)), cv2.LINE_AA, _BITS)
