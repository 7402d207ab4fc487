# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What the rasteriser draws: triangles with materials, moved by bones or not at all; and simple shapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.synthetic.materials import CLOTH, FOLIAGE, Materials, Textures


@dataclass
class Mesh:
    """N vertices, F faces; all arrays contiguous, floats float32, integers int32."""

    vertices: np.ndarray  # (N, 3) at rest, metres
    faces: np.ndarray  # (F, 3)
    face_uv: np.ndarray  # (F, 3, 2)
    face_material: np.ndarray  # (F,)
    material_textures: np.ndarray  # (M, 3): pattern, fold map, kind (materials.py)
    material_colours: np.ndarray  # (M, 3, 3) linear RGB
    material_looks: np.ndarray  # (M, 4): texture repeats, bump, specular, gloss
    material_alphas: np.ndarray  # (M,): alpha map or -1
    skin: int = 0  # which of Textures.skins


def make_mesh(
    vertices: np.ndarray, faces: np.ndarray, face_uv: np.ndarray, face_material: np.ndarray, materials: Materials,
    skin: int = 0,
) -> Mesh:  # fmt: skip
    """A mesh with the dtypes that the rasteriser wants."""

    def floats(values: object) -> np.ndarray:
        return np.ascontiguousarray(values, dtype=np.float32)

    def integers(values: object) -> np.ndarray:
        return np.ascontiguousarray(values, dtype=np.int32)

    return Mesh(
        floats(vertices), integers(faces), floats(face_uv), integers(face_material), integers(materials.textures),
        floats(materials.colours), floats(materials.looks), integers(materials.alphas), skin,
    )  # fmt: skip


def box(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A block between two corners (3,): vertices (24, 3), faces (12, 3), texture coordinates (12, 3, 2), in metres."""
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    sides = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    vertices = np.concatenate([corners[list(side)] for side in sides])
    faces = [[(4 * i, 4 * i + 1, 4 * i + 2), (4 * i, 4 * i + 2, 4 * i + 3)] for i in range(6)]
    edges = np.linalg.norm(vertices[[4 * i + 1 for i in range(6)]] - vertices[[4 * i for i in range(6)]], axis=1)
    heights = np.linalg.norm(vertices[[4 * i + 2 for i in range(6)]] - vertices[[4 * i + 1 for i in range(6)]], axis=1)
    uv = [
        [[(0, 0), (u, 0), (u, v)], [(0, 0), (u, v), (0, v)]] for u, v in zip(edges, heights, strict=True)
    ]  # a repeat a metre
    return vertices, np.array(faces).reshape(-1, 3), np.array(uv).reshape(-1, 3, 2)


def ellipsoid(
    centre: np.ndarray, radii: np.ndarray, square: float, rings: int = 14
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A superellipsoid, squarer the smaller `square` is: vertices, faces, texture coordinates as for box."""
    u, v = np.meshgrid(np.linspace(-np.pi, np.pi, 2 * rings, endpoint=False), np.linspace(-np.pi / 2, np.pi / 2, rings))

    def power(value: np.ndarray) -> np.ndarray:
        return np.sign(value) * np.abs(value) ** square

    shape = np.stack([power(np.cos(v)) * power(np.cos(u)), power(np.cos(v)) * power(np.sin(u)), power(np.sin(v))], -1)
    vertices = shape.reshape(-1, 3) * radii + centre
    uv = np.stack([u / 2 / np.pi + 0.5, v / np.pi + 0.5], axis=-1).reshape(-1, 2)
    row, column = np.mgrid[0 : rings - 1, 0 : 2 * rings]
    here, beside = row * 2 * rings + column, row * 2 * rings + (column + 1) % (2 * rings)
    above, across = here + 2 * rings, beside + 2 * rings
    faces = np.concatenate([np.stack([here, beside, across], -1), np.stack([here, across, above], -1)]).reshape(-1, 3)
    return vertices, faces, uv[faces]


def join(parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], numbers: list[int], materials: Materials) -> Mesh:
    """One mesh of shapes, each of the material numbered beside it."""
    starts = np.cumsum([0, *(len(part[0]) for part in parts)])
    return make_mesh(
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part[2] for part in parts]),
        np.concatenate([np.full(len(part[1]), number) for part, number in zip(parts, numbers, strict=True)]),
        materials,
    )


def draw_hard_material(random: np.random.Generator, textures: Textures, materials: Materials) -> int:
    """Add wood, paint, stone or metal, roughly; returns its number."""
    grey = random.uniform(0.03, 0.6)
    colour = np.clip(grey * (1 + random.normal(0, 0.2, 3)), 0.01, 0.9)
    return materials.add(
        np.array([colour, colour * random.uniform(0.5, 1.2), colour]), CLOTH,
        int(random.integers(len(textures.patterns))), int(random.integers(len(textures.folds))),
        random.uniform(0.5, 2), random.uniform(0, 2), random.uniform(0, 0.1), 20.0,
    )  # fmt: skip


def foliage(random: np.random.Generator, textures: Textures, centre: np.ndarray, size: np.ndarray) -> Mesh:
    """A bush or a tree's crown at `centre` (3,), of half size `size` (3,): cards with leaves, turned every way."""
    materials = Materials()
    green = np.array([0.10, 0.20, 0.05]) * random.uniform(0.4, 1.6) * np.clip(1 + random.normal(0, 0.15, 3), 0.6, 1.4)
    parts, numbers = [], []
    for _ in range(int(random.integers(5, 12))):
        tone = green * random.uniform(0.6, 1.4)
        alpha = int(random.integers(FOLIAGE, len(textures.alphas)))
        numbers.append(materials.add(np.array([tone, tone * 1.5, tone]), pattern=6, alpha=alpha))
        middle = centre + random.uniform(-0.6, 0.6, 3) * size
        turn = random.uniform(0, np.pi)
        across = np.array([np.cos(turn), np.sin(turn), 0]) * size[0] * 0.7
        up = np.array([0, 0, size[2] * 0.7]) + random.normal(0, 0.15, 3) * size
        vertices = np.array([middle - across - up, middle + across - up, middle + across + up, middle - across + up])
        uv = np.array([[[0, 0], [1, 0], [1, 1]], [[0, 0], [1, 1], [0, 1]]], float)
        parts.append((vertices, np.array([[0, 1, 2], [0, 2, 3]]), uv))
    return join(parts, numbers, materials)
