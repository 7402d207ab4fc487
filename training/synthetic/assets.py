# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Everything that scenes are made of, found once: bodies, clothes, motions, panoramas, pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdtc_ros.errors import InputError
from training.synthetic.backdrop import Backdrop, drawn_backdrop, panorama_backdrop, picture_backdrop, read_picture
from training.synthetic.bodies import Bodies, load_bodies
from training.synthetic.camera import View
from training.synthetic.light import drawn_lighting, find_panoramas, panorama_lighting, read_panorama
from training.synthetic.materials import Textures, load_textures
from training.synthetic.motion import MotionLibrary
from training.synthetic.person import BodyTemplate, Person, body_template, draw_person
from training.synthetic.shading import Lighting
from training.synthetic.wardrobe import Wardrobe, load_wardrobe

_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class AssetFolders:
    """Folders that the user names, all optional: without any, people wear helper geometry before drawn backdrops."""

    makehuman: Path | None = None  # clothes/, hair/ and poses/ of MakeHuman's assets
    motion: Path | None = None  # BVH files
    panoramas: Path | None = None
    pictures: Path | None = None  # photographs without people, for backdrops


@dataclass(frozen=True)
class Assets:
    """Loaded assets; panoramas and pictures are paths, read when they are first drawn."""

    bodies: Bodies
    template: BodyTemplate
    wardrobe: Wardrobe
    textures: Textures
    motions: MotionLibrary
    panoramas: tuple[Path, ...]
    pictures: tuple[Path, ...]

    def person(self, random: np.random.Generator) -> Person:
        """Somebody new."""
        return draw_person(random, self.bodies, self.template, self.wardrobe, self.textures)

    def surroundings(self, random: np.random.Generator, view: View) -> tuple[Lighting, Backdrop, float]:
        """Light, a backdrop for (about) `view`, and the backdrop's gain."""
        if self.panoramas and random.random() < (0.85 if self.pictures else 0.9):
            panorama = read_panorama(self.panoramas[int(random.integers(len(self.panoramas)))])
            yaw = random.uniform(0, 2 * np.pi)
            light, gain = panorama_lighting(random, panorama, yaw)
            return light, panorama_backdrop(panorama.picture, yaw), gain
        light, gain = drawn_lighting(random)
        picture = None
        if self.pictures and random.random() < 0.85:
            picture = read_picture(self.pictures[int(random.integers(len(self.pictures)))])
        if picture is None:
            picture = drawn_backdrop(random, 360, 480)
        return light, picture_backdrop(random, picture, view), gain


def load_assets(folders: AssetFolders) -> Assets:
    """Read what the folders hold; raises InputError for one that is missing or holds nothing of its kind."""
    for folder in (folders.makehuman, folders.motion, folders.panoramas, folders.pictures):
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is not a folder")
    bodies = load_bodies()
    poses: list[Path] = []
    if folders.makehuman:
        poses = sorted(folders.makehuman.glob("**/poses/*.bvh"))
    captures = _files(folders.motion, (".bvh",)) if folders.motion else []
    pictures = _files(folders.pictures, _PICTURES) if folders.pictures else []
    return Assets(
        bodies, body_template(bodies), load_wardrobe(bodies, folders.makehuman), load_textures(bodies),
        MotionLibrary(tuple(captures), tuple(poses)),
        tuple(find_panoramas(folders.panoramas)) if folders.panoramas else (), tuple(pictures),
    )  # fmt: skip


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not files:
        raise InputError(f"{folder} holds no {' or '.join(suffixes)} file")
    return files
