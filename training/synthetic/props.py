# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Things that stand about: seats, tables, posts, bars, leaves, vehicles, in front of people or behind them."""

from __future__ import annotations

import numpy as np

from training.synthetic.materials import Materials, Textures
from training.synthetic.mesh import Mesh, box, draw_hard_material, foliage, join

KINDS = ("post", "table", "wall", "leaves", "bar", "crate", "vehicle")
_OFTEN = np.array([0.22, 0.16, 0.14, 0.16, 0.08, 0.14, 0.10])


def draw_prop(random: np.random.Generator, textures: Textures, place: np.ndarray, kind: str | None = None) -> Mesh:
    """A thing at `place` (2,), metres on the ground, turned by chance."""
    kind = kind or str(random.choice(KINDS, p=_OFTEN))
    x, y = 0.0, 0.0
    if kind == "leaves":
        high = random.uniform(0.2, 1.9)
        size = np.array([random.uniform(0.2, 0.9), random.uniform(0.2, 0.9), random.uniform(0.2, 0.8)])
        return foliage(random, textures, np.array([place[0], place[1], high]), size)
    materials = Materials()
    first = draw_hard_material(random, textures, materials)
    if kind == "post":
        half, high = random.uniform(0.02, 0.14), random.uniform(1.0, 3.5)
        parts = [box(np.array([-half, -half, 0]), np.array([half, half, high]))]
        if random.random() < 0.4:  # a sign
            wide, low = random.uniform(0.15, 0.4), random.uniform(0.4, 0.9) * high
            top = low + random.uniform(0.2, 0.6)
            parts.append(box(np.array([-wide, -half - 0.03, low]), np.array([wide, -half, top])))
    elif kind == "table":
        a, b, high = random.uniform(0.3, 0.9), random.uniform(0.25, 0.5), random.uniform(0.4, 1.05)
        parts = [box(np.array([-a, -b, high - 0.04]), np.array([a, b, high]))]
        for sx in (-1, 1):
            for sy in (-1, 1):
                corner = np.array([sx * (a - 0.04), sy * (b - 0.04), 0])
                parts.append(box(corner - [0.025, 0.025, 0], corner + [0.025, 0.025, high - 0.04]))
    elif kind == "wall":
        a, thick, high = random.uniform(0.5, 2.0), random.uniform(0.03, 0.2), random.uniform(0.3, 1.3)
        parts = [box(np.array([-a, -thick, 0]), np.array([a, thick, high]))]
    elif kind == "bar":
        a, low = random.uniform(1, 3), random.uniform(0.3, 1.4)
        parts = [box(np.array([-a, -0.03, low]), np.array([a, 0.03, low + random.uniform(0.03, 0.15)]))]
    elif kind == "crate":
        a, b, high = random.uniform(0.15, 0.6), random.uniform(0.15, 0.6), random.uniform(0.25, 1.2)
        parts = [box(np.array([-a, -b, 0]), np.array([a, b, high]))]
    else:
        parts = _vehicle(random)
    numbers = [first] + [first if random.random() < 0.5 else draw_hard_material(random, textures, materials)] * (
        len(parts) - 1
    )
    return _placed(join(parts, numbers, materials), place + np.array([x, y]), random.uniform(0, 2 * np.pi))


def _vehicle(random: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """A car or van of blocks: body, cabin, wheels."""
    long, wide = random.uniform(1.7, 2.4), random.uniform(0.8, 0.95)
    floor, belt = random.uniform(0.2, 0.35), random.uniform(0.8, 1.1)
    roof = belt + random.uniform(0.4, 1.0)
    rear, front = -long * random.uniform(0.5, 0.98), long * random.uniform(0.2, 0.6)
    parts = [
        box(np.array([-long, -wide, floor]), np.array([long, wide, belt])),
        box(np.array([rear, -wide * 0.9, belt]), np.array([front, wide * 0.9, roof])),
    ]
    for x in (-0.62 * long, 0.62 * long):
        for y in (-wide, wide):
            centre = np.array([x, y, 0.3])
            parts.append(box(centre - [0.28, 0.1, 0.3], centre + [0.28, 0.1, 0.28]))
    return parts


def draw_seat(random: np.random.Generator, textures: Textures, hips: np.ndarray, heading: float) -> Mesh:
    """Something under the hips (3,) of somebody who sits with the front turned by `heading` from -y."""
    materials = Materials()
    number = draw_hard_material(random, textures, materials)
    a, back = random.uniform(0.2, 0.8), random.uniform(0.16, 0.45)
    top = max(0.1, hips[2] - 0.11)
    under = 0.0 if random.random() < 0.6 else top - random.uniform(0.04, 0.12)
    parts = [box(np.array([-a, -0.12, under]), np.array([a, back, top]))]
    if random.random() < 0.5:
        high = top + random.uniform(0.2, 0.55)
        parts.append(box(np.array([-a, back - 0.05, 0]), np.array([a, back, high])))
    return _placed(join(parts, [number] * len(parts), materials), hips[:2], heading)


def _placed(mesh: Mesh, place: np.ndarray, heading: float) -> Mesh:
    """The mesh turned about z and moved to `place` (2,)."""
    cos, sin = np.cos(heading), np.sin(heading)
    turn = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    mesh.vertices = (mesh.vertices @ turn.T + np.array([place[0], place[1], 0])).astype(np.float32)
    return mesh
