# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A scene at an instant, and its picture: people, things, light and backdrop, drawn at any view."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from training.synthetic import rasteriser, rotations
from training.synthetic.actor import Actor
from training.synthetic.backdrop import Backdrop
from training.synthetic.camera import View
from training.synthetic.materials import Textures
from training.synthetic.mesh import Mesh
from training.synthetic.shading import SHADOW_SIZE, Lighting, Maps, ShadowMap, Surface, shade

_UP = np.array([0.05, 0.03, 1.0])  # where cover is looked for: nearly above
_FLOOR_SHRINK = 4  # shadows on the floor are drawn this much coarser
_DENSE = 100  # vertices for each pixel of a shadow's longer side, from which on they cover it without their faces


@dataclass
class Scene:
    """Actors first, then things: the order in which pixels are numbered."""

    actors: list[Actor]
    props: list[Mesh]
    light: Lighting
    backdrop: Backdrop
    backdrop_gain: float
    textures: Textures
    blur_backdrop: float = 0.0  # pixels; a lens focused on the people
    _cached: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)
    _shadows: dict[tuple[int, int], tuple[ShadowMap, ShadowMap]] = field(default_factory=dict)

    def vertices(self, actor: int, instant: int) -> np.ndarray:
        """An actor's vertices (N, 3) at an instant, kept for this scene."""
        key = actor, instant
        if key not in self._cached:
            self._cached[key] = self.actors[actor].vertices(instant)
        return self._cached[key]

    def forget(self) -> None:
        """Drop what is kept of instants: clips are long."""
        self._cached.clear()
        self._shadows = {key: shadow for key, shadow in self._shadows.items() if key[1] < 0}


@dataclass(frozen=True)
class Drawing:
    """A rendered view."""

    image: np.ndarray  # (H, W, 3) float32 linear RGB
    inverse_depth: np.ndarray  # (H, W) float32, 1 / metres along the view's axis; 0 where there is only backdrop
    owner: np.ndarray  # (H, W) int16: the actor's number, from len(actors) on things, -1 backdrop


def render(
    scene: Scene, shapes: list[np.ndarray], view: View, instant: int, coarser: int = 1,
    behind: np.ndarray | None = None, shared: int = 1,
) -> Drawing:  # fmt: skip
    """The picture of a view; `shapes` are the actors' vertices then and there.

    instant: whose shadows on bodies are used, made if need be; coarser: the picture will be shrunk by this or averaged
    with others, so the backdrop and shadows on the ground are drawn so much coarser; behind: those, from another call;
    shared: how many pixels take one computed colour (shading.shade).
    """
    meshes = [actor.person.mesh for actor in scene.actors] + scene.props
    shapes = shapes + [prop.vertices for prop in scene.props]
    inverse_depth = np.zeros((view.height, view.width), np.float32)
    face_ids = np.full((view.height, view.width), -1, np.int32)
    screens, firsts, first = [], [], 0
    windows: list[tuple[int, int, int, int]] = []
    for mesh, shape in zip(meshes, shapes, strict=True):
        screen = np.empty_like(shape)
        rasteriser.project(shape, view.rotation, view.translation, view.focal, view.cx, view.cy, screen)
        windows.append(_window(screen, view))
        face_alpha = mesh.material_alphas[mesh.face_material]
        if _holds(windows[-1]):
            rasteriser.draw(
                screen, mesh.faces, mesh.face_uv, face_alpha, scene.textures.alphas, inverse_depth, face_ids, first
            )
        screens.append(screen)
        firsts.append(first)
        first += len(mesh.faces)
    owner = (np.searchsorted(np.array(firsts, np.int32), face_ids, side="right") - 1).astype(np.int16)
    image = backdrop_of(scene, shapes, view, coarser) if behind is None else behind.copy()
    shown = np.bincount((owner + 1).reshape(-1), minlength=len(meshes) + 1)[1:] > 0
    for number in np.flatnonzero(shown).tolist():
        mesh, shape = meshes[number], shapes[number]
        shadows = _shadows_of(scene, number, instant, mesh, shape)
        _shade_mesh(
            scene, mesh, shape, screens[number], windows[number], view.eye, image, face_ids, firsts[number], shadows,
            shared,
        )  # fmt: skip
    return Drawing(image, inverse_depth, owner)


def backdrop_of(scene: Scene, shapes: list[np.ndarray], view: View, coarser: int = 1) -> np.ndarray:
    """Backdrop and ground of a view with the shadows of the actors' `shapes`, (H, W, 3) float32."""
    meshes = [actor.person.mesh for actor in scene.actors] + scene.props
    shapes = shapes[: len(scene.actors)] + [prop.vertices for prop in scene.props]
    rough = view.coarser(coarser)
    image = scene.backdrop.seen(rough) * np.float32(scene.backdrop_gain)
    if scene.blur_backdrop:
        image = cv2.GaussianBlur(image, (0, 0), scene.blur_backdrop)
    _shadow_floor(scene, meshes, shapes, rough, image)
    if coarser > 1:
        image = cv2.resize(image, (view.width, view.height), interpolation=cv2.INTER_LINEAR)
    return image


def _window(screen: np.ndarray, view: View) -> tuple[int, int, int, int]:
    """Left, top, right, bottom (excluded) of the pixels that projected vertices can cover."""
    left, top, right, bottom, _ = rasteriser.screen_bounds(screen)
    across = np.clip([np.floor(left), np.ceil(right) + 1], 0, view.width).astype(int).tolist()
    down = np.clip([np.floor(top), np.ceil(bottom) + 1], 0, view.height).astype(int).tolist()
    return across[0], down[0], across[1], down[1]


def _holds(window: tuple[int, int, int, int]) -> bool:
    return window[2] > window[0] and window[3] > window[1]


def _shade_mesh(
    scene: Scene, mesh: Mesh, shape: np.ndarray, screen: np.ndarray, window: tuple[int, int, int, int],
    eye: np.ndarray, image: np.ndarray, face_ids: np.ndarray, first: int,
    shadows: tuple[ShadowMap, ShadowMap], shared: int,
) -> None:  # fmt: skip
    """Colour the pixels that a mesh has in `face_ids`."""
    normals = np.empty_like(shape)
    rasteriser.vertex_normals(shape, mesh.faces, normals)
    surface = Surface(
        screen, shape, normals, mesh.faces, mesh.face_uv, mesh.face_material, mesh.material_textures,
        mesh.material_colours, mesh.material_looks, mesh.skin,
    )  # fmt: skip
    maps = Maps(scene.textures.patterns, scene.textures.folds, scene.textures.skins)
    shade(image, face_ids, first, window, surface, maps, scene.light, shadows[0], shadows[1], eye, shared)


def _shadows_of(scene: Scene, number: int, instant: int, mesh: Mesh, shape: np.ndarray) -> tuple[ShadowMap, ShadowMap]:
    """From the sun and from above; a thing stands still, so its are made once."""
    key = number, instant if number < len(scene.actors) else -1
    if key not in scene._shadows:
        sun, cover = shadow_map(shape, mesh.faces, scene.light.sun), shadow_map(shape, mesh.faces, _UP)
        scene._shadows[key] = sun, cover
    return scene._shadows[key]


def shadow_map(vertices: np.ndarray, faces: np.ndarray, direction: np.ndarray) -> ShadowMap:
    """What a mesh shows towards light from `direction` (3,)."""
    direction = direction / np.linalg.norm(direction)
    helper = np.array([0, 0, 1.0]) if abs(direction[2]) < 0.95 else np.array([1.0, 0, 0])
    across = rotations.cross(direction, helper)
    across /= np.linalg.norm(across)
    axes = np.stack([across, rotations.cross(direction, across), direction]).astype(np.float32)
    low, high = rasteriser.bounds(vertices)
    origin = (low + high) / 2
    scale = float(SHADOW_SIZE * 0.48 / (float((high - low).max()) / 2 * 1.3 + 0.05))
    placed = np.empty_like(vertices)
    rasteriser.to_light(vertices, axes, origin, scale, SHADOW_SIZE, placed)
    depth = np.full((SHADOW_SIZE, SHADOW_SIZE), -1e9, np.float32)
    rasteriser.draw_depth(placed, faces, depth)
    return ShadowMap(axes, origin, scale, depth)


def _shadow_floor(scene: Scene, meshes: list[Mesh], shapes: list[np.ndarray], view: View, image: np.ndarray) -> None:
    """Darken the ground where the sun does not reach, and softly under everything."""
    small = (max(1, view.height // _FLOOR_SHRINK), max(1, view.width // _FLOOR_SHRINK))
    sun, strength = scene.light.sun, 0.5 * min(1.0, float(scene.light.sun_colour[1]))
    darkness = np.zeros(small, np.float32)
    for direction, amount, blur in ((np.array([0, 0, 1.0]), 0.35, 3.0), (sun, strength, 1.2)):
        if amount < 0.05:
            continue
        cast = np.zeros(small, np.float32)
        slant = (direction / max(0.2, float(direction[2]))).astype(np.float32)
        s = 1 / _FLOOR_SHRINK
        for mesh, shape in zip(meshes, shapes, strict=True):
            flat = shape - shape[:, 2:] * slant
            screen = np.empty_like(flat)
            rasteriser.project(
                flat, view.rotation, view.translation, view.focal * s, view.cx * s, view.cy * s, screen
            )  # fmt: skip
            left, top, right, bottom, whole = rasteriser.screen_bounds(screen)
            if not whole or right <= 0 or bottom <= 0 or left >= small[1] or top >= small[0]:
                continue
            if len(shape) > _DENSE * max(right - left, bottom - top):
                rasteriser.mark(screen, cast)
            else:
                rasteriser.draw_depth(screen, mesh.faces, cast)
        blurred = cv2.GaussianBlur((cast > 0).astype(np.float32), (0, 0), blur)
        darkness = np.maximum(darkness, amount * blurred)
    image *= (1 - cv2.resize(darkness, (view.width, view.height), interpolation=cv2.INTER_LINEAR))[..., None]
