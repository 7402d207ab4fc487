# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One garment, shoe, hat or hair: fitted to any body and moved by the bones of what it hangs on.

MakeHuman's .mhclo format (CC0 assets of its makehuman-assets repository): every vertex of a garment is a weighted mean
of three of the body's vertices (helper geometry included) plus an offset, scaled by three measures of the body.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from sdtc_ros.errors import InputError
from training.synthetic.bodies import BODY_VERTICES, INFLUENCES, Bodies

Scale = tuple[int, int, float]  # two vertices and their distance on the body that the garment was made for
_HELPER_SCALE: tuple[Scale, Scale, Scale] = ((5399, 11998, 1.0), (962, 5320, 1.0), (791, 881, 1.0))


@dataclass(frozen=True)
class Garment:
    """N vertices, F faces; `kind` is top, bottom, skirt, onepiece, shoes, hair, hat or brows."""

    name: str
    kind: str
    references: np.ndarray  # (N, 3) int32 vertices of the body
    shares: np.ndarray  # (N, 3) float32
    offsets: np.ndarray  # (N, 3) float32, MakeHuman's axes (y up)
    scales: tuple[Scale, Scale, Scale]  # along our x, y, z
    faces: np.ndarray  # (F, 3) int32
    face_uv: np.ndarray  # (F, 3, 2) float32
    weights: np.ndarray  # (N, 6) float32
    weight_bones: np.ndarray  # (N, 6) int32
    part: np.ndarray  # (N,) int32, which connected piece
    covers: np.ndarray  # vertices of the body that it hides

    def fit(self, body: np.ndarray) -> np.ndarray:
        """Its vertices (N, 3) at rest on a body's (V, 3)."""
        place = np.einsum("nk,nkc->nc", self.shares, body[self.references])
        x, y, z = (abs(body[a, axis] - body[b, axis]) / length for axis, (a, b, length) in enumerate(self.scales))
        moved = np.stack([self.offsets[:, 0] * x, -self.offsets[:, 2] * y, self.offsets[:, 1] * z], axis=1)
        return (place + moved).astype(np.float32)

    def pieces(self, chosen: list[int], kind: str) -> Garment:
        """The garment that these connected pieces make."""
        keep = np.isin(self.part, chosen)
        number = np.cumsum(keep) - 1
        faces = keep[self.faces[:, 0]]
        return replace(
            self, kind=kind, references=self.references[keep], shares=self.shares[keep], offsets=self.offsets[keep],
            faces=number[self.faces[faces]].astype(np.int32), face_uv=self.face_uv[faces], weights=self.weights[keep],
            weight_bones=self.weight_bones[keep], part=self.part[keep],
        )  # fmt: skip


def read_garment(path: Path, bodies: Bodies, kind: str) -> Garment:
    """A .mhclo and the .obj that it names; raises InputError where they cannot be read."""
    try:
        rows, scales, covers, shape = _read_mhclo(path)
        vertices, faces, face_uv = read_obj(path.parent / shape)
        references = np.array([[int(v) for v in row[:3]] for row in rows], np.int32)
        shares = np.array([[float(v) for v in row[3:6]] for row in rows], np.float32)
        offsets = np.array([[float(v) for v in row[6:9]] for row in rows], np.float32)
        if len(vertices) != len(references):
            raise ValueError(f"{len(references)} vertices, but {shape} has {len(vertices)}")
        measures = (scales["x"], scales["z"], scales["y"])
    except (OSError, ValueError, KeyError, IndexError) as error:
        raise InputError(f"{path} is not a readable MakeHuman garment: {error}") from error
    weights, bones = _inherit(bodies, references, shares)
    covered = np.array(sorted(v for v in covers if v < BODY_VERTICES), np.int64)
    return Garment(
        path.stem, kind, references, shares, offsets, measures, faces, face_uv, weights, bones,
        connected(faces, len(vertices)), covered,
    )  # fmt: skip


def helper_garment(
    bodies: Bodies, obj: Path, group: str, name: str, kind: str, keep: np.ndarray
) -> Garment:  # fmt: skip
    """A garment cut out of a helper group of the body's base.obj: its faces whose vertices are all in `keep` (V,)."""
    _, faces, face_uv = read_obj(obj, group)
    chosen = keep[faces].all(axis=1)
    used = np.unique(faces[chosen])
    number = np.full(len(keep), -1)
    number[used] = np.arange(len(used))
    own = number[faces[chosen]].astype(np.int32)
    references = np.repeat(used[:, None], 3, axis=1).astype(np.int32)
    shares = np.tile(np.array([1, 0, 0], np.float32), (len(used), 1))
    return Garment(
        name, kind, references, shares, np.zeros((len(used), 3), np.float32), _HELPER_SCALE, own, face_uv[chosen],
        bodies.weights[used], bodies.weight_bones[used], connected(own, len(used)), np.zeros(0, np.int64),
    )  # fmt: skip


def read_obj(path: Path, group: str | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vertices (N, 3), triangles (F, 3) and their texture coordinates (F, 3, 2), of one group or of all."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    faces: list[tuple[int, ...]] = []
    corners: list[tuple[int, ...]] = []
    current = None
    for line in path.read_text(errors="replace").split("\n"):
        words = line.split()
        if not words:
            continue
        if words[0] == "v":
            vertices.append([float(word) for word in words[1:4]])
        elif words[0] == "vt":
            uv.append([float(word) for word in words[1:3]])
        elif words[0] == "g":
            current = words[1]
        elif words[0] == "f" and group in (None, current):
            pairs = [word.split("/") for word in words[1:]]
            point = [int(pair[0]) - 1 for pair in pairs]
            texture = [int(pair[1]) - 1 if len(pair) > 1 and pair[1] else 0 for pair in pairs]
            for i in range(1, len(point) - 1):
                faces.append((point[0], point[i], point[i + 1]))
                corners.append((texture[0], texture[i], texture[i + 1]))
    uv_array = np.array(uv or [[0.0, 0.0]], np.float32)
    return np.array(vertices, np.float32), np.array(faces, np.int32), uv_array[np.array(corners, np.int64)]


def connected(faces: np.ndarray, count: int) -> np.ndarray:
    """The connected piece of each of `count` vertices, (count,) int32."""
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph)[1].astype(np.int32)


def _read_mhclo(path: Path) -> tuple[list[list[str]], dict[str, Scale], set[int], str]:
    """Rows of nine numbers a vertex, the measures by axis, covered vertices, the .obj's name."""
    rows: list[list[str]] = []
    scales: dict[str, Scale] = {}
    covers: set[int] = set()
    shape, section = "", ""
    for line in path.read_text(errors="replace").split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] in ("x_scale", "y_scale", "z_scale"):
            scales[words[0][0]] = (int(words[1]), int(words[2]), float(words[3]))
        elif words[0] == "obj_file":
            shape = words[1]
        elif words[0] in ("verts", "delete_verts"):
            section = words[0]
        elif words[0].lstrip("-")[0].isdigit() and section == "verts":
            rows.append(words if len(words) > 1 else [words[0]] * 3 + ["1", "0", "0", "0", "0", "0"])
        elif words[0].isdigit() and section == "delete_verts":
            covers |= _ranges(words)
    return rows, scales, covers, shape


def _ranges(words: list[str]) -> set[int]:
    """Numbers and ranges, as in "3 5 - 9"."""
    numbers: set[int] = set()
    place = 0
    while place < len(words):
        if place + 2 < len(words) and words[place + 1] == "-":
            numbers.update(range(int(words[place]), int(words[place + 2]) + 1))
            place += 3
        else:
            numbers.add(int(words[place]))
            place += 1
    return numbers


def _inherit(bodies: Bodies, references: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Skin weights of a garment's vertices: its three references' blended, the six strongest bones kept."""
    count = len(references)
    total = np.zeros((count, len(bodies.bones)), np.float32)
    row = np.arange(count)
    for corner in range(3):
        share = np.clip(shares[:, corner], 0, None)
        vertex = references[:, corner]
        for slot in range(INFLUENCES):
            np.add.at(total, (row, bodies.weight_bones[vertex, slot]), share * bodies.weights[vertex, slot])
    most = np.argsort(-total, axis=1)[:, :INFLUENCES]
    kept = np.take_along_axis(total, most, axis=1)
    kept /= np.maximum(kept.sum(axis=1, keepdims=True), 1e-6)
    return kept.astype(np.float32), most.astype(np.int32)
