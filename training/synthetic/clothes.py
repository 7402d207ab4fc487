# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What somebody wears: chosen from the wardrobe, loosened, one layer over the other, and of what cloth."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from training.synthetic.garments import Garment
from training.synthetic.materials import HAIR, Materials, Textures, draw_cloth
from training.synthetic.rasteriser import vertex_normals
from training.synthetic.wardrobe import WOMENS_HAIR, Wardrobe

_EASE = {"top": (0.003, 0.016), "bottom": (0.001, 0.010), "onepiece": (0.004, 0.004), "skirt": (0.008, 0.008)}
_TUCKED = 0.25  # share of tops that go under the trousers or skirt
_LAYER, _LAYER_REACH = 0.006, 0.04  # metres between two layers of cloth, and within which they are held apart


def choose_clothes(random: np.random.Generator, wardrobe: Wardrobe, woman: bool) -> list[Garment]:
    """A top and a bottom or one piece, mostly shoes and hair, sometimes a hat."""

    def one(garments: list[Garment]) -> list[Garment]:
        return [garments[int(random.integers(len(garments)))]] if garments else []

    worn: list[Garment] = []
    if wardrobe.onepieces and random.random() < 0.06:
        worn += one(wardrobe.onepieces)
    else:
        bottoms = [g for g in wardrobe.bottoms if woman or (g.kind != "skirt" and not g.name.startswith("female_eleg"))]
        tops = wardrobe.tops
        if not woman or random.random() < 0.8:
            tops = [g for g in tops if g.name != "female_sportsuit01"]
        worn += one(bottoms) + one(tops)
    if random.random() < 0.94:
        worn += one(wardrobe.shoes)
    hat = bool(wardrobe.hats) and random.random() < 0.09
    hair = [g for g in wardrobe.hair if (g.name in WOMENS_HAIR) == woman or random.random() < 0.12]
    if hat:
        hair = [g for g in hair if g.name.startswith("short")]
    if random.random() < (0.97 if woman else 0.88):
        worn += one(hair)
    return worn + (one(wardrobe.hats) if hat else [])


def put_in_layers(random: np.random.Generator, worn: list[tuple[Garment, np.ndarray, np.ndarray]]) -> None:
    """Put tops over bottoms, a few of them under, where both are: neither shows through the other's cloth."""
    tops = [place for place, (garment, _, _) in enumerate(worn) if garment.kind == "top"]
    bottoms = [place for place, (garment, _, _) in enumerate(worn) if garment.kind in ("bottom", "skirt")]
    if not tops or not bottoms:
        return
    over, under = (bottoms[0], tops[0]) if random.random() < _TUCKED else (tops[0], bottoms[0])
    garment, vertices, face_material = worn[over]
    below = worn[under][1]
    normals = _outward_normals(below, worn[under][0].faces)
    distance, nearest = cKDTree(below).query(vertices, distance_upper_bound=_LAYER_REACH)
    near = np.isfinite(distance)
    normal = normals[nearest[near]]
    height = ((vertices[near] - below[nearest[near]]) * normal).sum(axis=1)
    vertices = vertices.copy()
    vertices[near] += normal * np.maximum(_LAYER - height, 0)[:, None]
    worn[over] = garment, vertices, face_material


def _outward_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (N, 3) of a garment, away from the body whichever way its faces are wound."""
    normals = np.zeros_like(vertices)
    vertex_normals(vertices, faces, normals)
    inward = (normals * (vertices - vertices.mean(axis=0)))[:, :2].sum() < 0
    return -normals if inward else normals


def with_ease(random: np.random.Generator, garment: Garment, vertices: np.ndarray) -> np.ndarray:
    """Looser than its cut: outward along the normals in waves, more towards the hem, so that no two fit alike."""
    low, high = _EASE.get(garment.kind, (0.0, 0.0))
    if garment.name.startswith("helper"):
        low, high = {"hair": (0.0, 0.01), "shoes": (0.006, 0.012)}.get(garment.kind, (0.004, 0.022))
    ease = random.uniform(low, high)
    if not ease:
        return vertices
    normals = _outward_normals(vertices, garment.faces)
    rate, phase = random.uniform(14, 34, 3), random.uniform(0, 6)
    wave = np.sin(vertices @ (rate * [1, 1, 0.5]) + phase) * np.sin(vertices @ (rate[[1, 2, 0]] * [0.8, -0.8, 0.8]))
    drop = np.clip((vertices[:, 2].max() - vertices[:, 2]) / (np.ptp(vertices[:, 2]) + 1e-6), 0, 1) ** 2
    loose = ease * (0.45 + 0.8 * (0.5 + 0.5 * wave) + 0.5 * drop)
    return (vertices + normals * loose[:, None]).astype(np.float32)


def hair_material(random: np.random.Generator, textures: Textures, materials: Materials, colour: np.ndarray) -> int:
    """Add hair near `colour` (3,) linear RGB; returns its number."""
    return materials.add(
        np.array([colour * 0.5, colour * 1.5 + 0.004, colour]), HAIR, int(random.integers(3)),
        int(random.integers(len(textures.folds))), specular=random.uniform(0.02, 0.10), gloss=18,
        alpha=int(random.integers(6)),
    )  # fmt: skip


def cloth_of(
    random: np.random.Generator, garment: Garment, textures: Textures, materials: Materials, palette: list[np.ndarray]
) -> np.ndarray:
    """Material of every face: each large piece of a garment its own cloth; socks differ from shoes."""
    piece = garment.part[garment.faces[:, 0]]
    face_material = np.zeros(len(piece), np.int64)
    if garment.kind == "shoes":
        leather = np.array([[0.02] * 3, [0.7, 0.7, 0.68], [0.10, 0.05, 0.03], [0.2] * 3, [0.04, 0.05, 0.09]])
        colour = palette[3] if random.random() < 0.25 else leather[random.integers(5)]
        shoe = draw_cloth(random, textures, materials, colour, plain=True, specular=random.uniform(0, 0.3))
        sock_colour = palette[4] if random.random() < 0.2 else np.full(3, random.choice([0.03, 0.6, 0.25]))
        sock = draw_cloth(random, textures, materials, sock_colour, plain=True, specular=0)
        sizes = np.bincount(piece, minlength=piece.max() + 1)
        return np.where((sizes[piece] > 120) & (sizes[piece] < 330), sock, shoe)
    first = {"top": 0, "onepiece": 0, "bottom": 1, "skirt": 1}.get(garment.kind, 2)
    current = -1
    for number in np.unique(piece):
        faces = piece == number
        if current < 0 or faces.sum() > 300:
            denim = garment.kind == "bottom" and random.random() < 0.45
            colour = palette[first if current < 0 else 5]
            current = draw_cloth(random, textures, materials, colour, denim=denim)
        face_material[faces] = current
    return face_material
