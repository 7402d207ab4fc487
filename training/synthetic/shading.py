# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The colour of every pixel that a mesh owns: textures, folds, one sun with its shadow, the sky from all sides.

Colours are linear RGB. Light from all sides is nine spherical-harmonics numbers a channel (Ramamoorthi and Hanrahan,
"An efficient representation for irradiance environment maps", 2001), dimmed where a shadow map from above finds cover.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from training.synthetic.materials import EYE, HAIR, SKIN

SHADOW_SIZE = 160


class ShadowMap(NamedTuple):
    """What light from one direction meets first, orthographic."""

    axes: np.ndarray  # (3, 3) rows: across, down, towards the light
    origin: np.ndarray  # (3,)
    scale: float  # pixels a metre
    depth: np.ndarray  # (160, 160) metres towards the light


class Lighting(NamedTuple):
    """The scene's light; directions (3,) point towards the light, colours (3,) are linear RGB."""

    sun: np.ndarray
    sun_colour: np.ndarray
    sky: np.ndarray  # (9, 3)
    fill: np.ndarray
    fill_colour: np.ndarray


class Surface(NamedTuple):
    """A mesh as the shader wants it (mesh.Mesh, rasteriser.project)."""

    screen: np.ndarray
    vertices: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    face_uv: np.ndarray
    face_material: np.ndarray
    material_textures: np.ndarray
    material_colours: np.ndarray
    material_looks: np.ndarray
    skin: int


class Maps(NamedTuple):
    """materials.Textures' pictures."""

    patterns: np.ndarray
    folds: np.ndarray
    skins: np.ndarray


@njit(cache=True, fastmath=True, nogil=True)
def _sample(stack: np.ndarray, number: int, u: float, v: float) -> float:
    """A picture of a stack at texture coordinates, bilinear, repeated."""
    n = stack.shape[1]
    x, y = (u - math.floor(u)) * n - 0.5, (1 - v - math.floor(1 - v)) * n - 0.5
    left, top = int(math.floor(x)), int(math.floor(y))
    fx, fy = x - left, y - top
    right, below = left + 1 if left + 1 < n else 0, top + 1 if top + 1 < n else 0  # remainders take most of the time
    left, top = left if left >= 0 else n - 1, top if top >= 0 else n - 1
    upper = stack[number, top, left] * (1 - fx) + stack[number, top, right] * fx
    lower = stack[number, below, left] * (1 - fx) + stack[number, below, right] * fx
    return upper * (1 - fy) + lower * fy


@njit(cache=True, fastmath=True, nogil=True)
def _lit(shadow: ShadowMap, x: float, y: float, z: float, bias: float, radius: int, step: int) -> float:
    """The share of shadow-map pixels around a world point that do not lie between it and the light."""
    a, o, n = shadow.axes, shadow.origin, shadow.depth.shape[0]
    x, y, z = x - o[0], y - o[1], z - o[2]
    column = int((a[0, 0] * x + a[0, 1] * y + a[0, 2] * z) * shadow.scale + n * 0.5)
    row = int((a[1, 0] * x + a[1, 1] * y + a[1, 2] * z) * shadow.scale + n * 0.5)
    height = a[2, 0] * x + a[2, 1] * y + a[2, 2] * z + bias
    free, count = 0, 0
    for i in range(row - radius, row + radius + 1, step):
        for j in range(column - radius, column + radius + 1, step):
            count += 1
            if i < 0 or j < 0 or i >= n or j >= n or shadow.depth[i, j] < height:
                free += 1
    return free / count


@njit(cache=True, fastmath=True, nogil=True)
def _bump(surface: Surface, i: int, maps: Maps, u: float, v: float, m: int) -> tuple[float, float, float, float]:
    """How folds tilt face i's normal (x, y, z), and their height, at scaled texture coordinates."""
    p, uv, f = surface.vertices, surface.face_uv, surface.faces
    a, b, c = f[i, 0], f[i, 1], f[i, 2]
    du1, dv1 = uv[i, 1, 0] - uv[i, 0, 0], uv[i, 1, 1] - uv[i, 0, 1]
    du2, dv2 = uv[i, 2, 0] - uv[i, 0, 0], uv[i, 2, 1] - uv[i, 0, 1]
    area = du1 * dv2 - du2 * dv1
    fold, strength = surface.material_textures[m, 1], surface.material_looks[m, 1]
    height = _sample(maps.folds, fold, u, v)
    if abs(area) < 1e-12:
        return 0.0, 0.0, 0.0, height
    right = (height - _sample(maps.folds, fold, u + 0.006, v)) * strength
    up = (height - _sample(maps.folds, fold, u, v + 0.006)) * strength
    tx, ty, tz = 0.0, 0.0, 0.0
    gx, gy, gz = 0.0, 0.0, 0.0
    e1x, e1y, e1z = p[b, 0] - p[a, 0], p[b, 1] - p[a, 1], p[b, 2] - p[a, 2]
    e2x, e2y, e2z = p[c, 0] - p[a, 0], p[c, 1] - p[a, 1], p[c, 2] - p[a, 2]
    tx, ty, tz = (e1x * dv2 - e2x * dv1) / area, (e1y * dv2 - e2y * dv1) / area, (e1z * dv2 - e2z * dv1) / area
    gx, gy, gz = (e2x * du1 - e1x * du2) / area, (e2y * du1 - e1y * du2) / area, (e2z * du1 - e1z * du2) / area
    right /= math.sqrt(tx * tx + ty * ty + tz * tz) + 1e-9
    up /= math.sqrt(gx * gx + gy * gy + gz * gz) + 1e-9
    return right * tx + up * gx, right * ty + up * gy, right * tz + up * gz, height


@njit(cache=True, fastmath=True, nogil=True)
def _albedo(surface: Surface, maps: Maps, m: int, u: float, v: float) -> tuple[float, float, float]:
    """A material's colour at texture coordinates."""
    colours, kind = surface.material_colours, surface.material_textures[m, 2]
    if kind == SKIN:
        n = maps.skins.shape[1]
        row, column = min(n - 1, max(0, int((1 - v) * n))), min(n - 1, max(0, int(u * n)))
        skin = maps.skins[surface.skin, row, column]
        return skin[0], skin[1], skin[2]
    if kind == EYE:
        ring = 0 if u < 0.5 else (1 if u < 0.85 else 2)
        return colours[m, ring, 0], colours[m, ring, 1], colours[m, ring, 2]
    repeats = surface.material_looks[m, 0]
    mix = _sample(maps.patterns, surface.material_textures[m, 0], u * repeats, v * repeats) / 255.0
    if kind == HAIR:
        strand = _sample(maps.folds, surface.material_textures[m, 1], u * repeats * 3, v * repeats * 0.35)
        mix = 0.5 * mix + 0.5 * strand
    red = colours[m, 0, 0] * (1 - mix) + colours[m, 1, 0] * mix
    green = colours[m, 0, 1] * (1 - mix) + colours[m, 1, 1] * mix
    return red, green, colours[m, 0, 2] * (1 - mix) + colours[m, 1, 2] * mix


@njit(cache=True, fastmath=True, nogil=True)
def _sky(sky: np.ndarray, channel: int, x: float, y: float, z: float) -> float:
    """Light from all sides on a surface with normal (x, y, z)."""
    total = sky[0, channel] + sky[1, channel] * y + sky[2, channel] * z + sky[3, channel] * x
    total += sky[4, channel] * x * y + sky[5, channel] * y * z + sky[6, channel] * (3 * z * z - 1)
    return max(0.0, total + sky[7, channel] * x * z + sky[8, channel] * (x * x - y * y))


@njit(cache=True, nogil=True)
def _source(
    face_ids: np.ndarray, first_id: int, face_material: np.ndarray, x: int, y: int, shared: int
) -> tuple[int, int]:
    """The pixel whose colour a surface's pixel (x, y) takes: itself, or the one of its block that is computed.

    Only of the same surface and material, so that hems and outlines keep all their pixels.
    """
    if shared == 4:
        column, row = x & ~1, y & ~1
    elif shared == 2 and (x + y) % 2 == 1:
        column, row = min(x ^ 1, face_ids.shape[1] - 1), y
    else:
        return x, y
    other = face_ids[row, column] - first_id
    if 0 <= other < face_material.shape[0] and face_material[other] == face_material[face_ids[y, x] - first_id]:
        return column, row
    return x, y


@njit(cache=True, fastmath=True, nogil=True)
def shade(
    image: np.ndarray, face_ids: np.ndarray, first_id: int, window: tuple[int, int, int, int], surface: Surface,
    maps: Maps, light: Lighting, sun_shadow: ShadowMap, cover: ShadowMap, eye: np.ndarray, shared: int,
) -> None:  # fmt: skip
    """Colour the pixels of `image` (H, W, 3) float32 that `face_ids` gives to this surface.

    window: left, top, right, bottom (excluded) of the pixels that can be its; eye: the camera's place (3,); shared: how
    many pixels of a material take one computed colour, 1, 2 (in a chequered pattern) or 4 (blocks), for pictures that
    will be shrunk or averaged.
    """
    faces = surface.faces.shape[0]
    screen, p, normal, uv = surface.screen, surface.vertices, surface.normals, surface.face_uv
    for y in range(window[1], window[3]):
        for x in range(window[0], window[2]):
            i = face_ids[y, x] - first_id
            if i < 0 or i >= faces:
                continue
            if shared > 1 and _source(face_ids, first_id, surface.face_material, x, y, shared) != (x, y):
                continue
            a, b, c = surface.faces[i, 0], surface.faces[i, 1], surface.faces[i, 2]
            ax, ay, bx, by = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
            cx, cy = screen[c, 0], screen[c, 1]
            area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
            # Weights of the corners, made perspective-correct by their 1 / z.
            u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
            v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
            w = (1.0 - u - v) * screen[c, 2]
            u, v = u * screen[a, 2], v * screen[b, 2]
            total = 1.0 / (u + v + w)
            u, v, w = u * total, v * total, w * total
            px = u * p[a, 0] + v * p[b, 0] + w * p[c, 0]
            py = u * p[a, 1] + v * p[b, 1] + w * p[c, 1]
            pz = u * p[a, 2] + v * p[b, 2] + w * p[c, 2]
            nx = u * normal[a, 0] + v * normal[b, 0] + w * normal[c, 0]
            ny = u * normal[a, 1] + v * normal[b, 1] + w * normal[c, 1]
            nz = u * normal[a, 2] + v * normal[b, 2] + w * normal[c, 2]
            s = u * uv[i, 0, 0] + v * uv[i, 1, 0] + w * uv[i, 2, 0]
            t = u * uv[i, 0, 1] + v * uv[i, 1, 1] + w * uv[i, 2, 1]
            ex, ey, ez = eye[0] - px, eye[1] - py, eye[2] - pz
            length = 1.0 / math.sqrt(ex * ex + ey * ey + ez * ez)
            ex, ey, ez = ex * length, ey * length, ez * length
            m = surface.face_material[i]
            kind, look = surface.material_textures[m, 2], surface.material_looks[m]
            crease = 1.0
            if look[1] != 0.0:
                dx, dy, dz, height = _bump(surface, i, maps, s * look[0], t * look[0], m)
                nx, ny, nz = nx + dx, ny + dy, nz + dz
                crease = min(1.0, max(0.55, 0.8 + 0.4 * height))
            length = 1.0 / (math.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
            nx, ny, nz = nx * length, ny * length, nz * length
            facing = nx * ex + ny * ey + nz * ez
            if facing < 0:  # cloth is seen from both sides
                nx, ny, nz, facing = -nx, -ny, -nz, -facing
            ox, oy, oz = px + 0.018 * nx, py + 0.018 * ny, pz + 0.018 * nz
            ambient = (0.45 + 0.55 * _lit(cover, ox, oy, oz, 0.04, 4, 4)) * crease
            toward = nx * light.sun[0] + ny * light.sun[1] + nz * light.sun[2]
            if kind == SKIN:
                toward = (toward + 0.15) / 1.15  # light wraps a little around skin
            sunlit = _lit(sun_shadow, ox, oy, oz, 0.03, 1, 1) if toward > 0.0 else 0.0
            toward = max(0.0, toward) * sunlit
            filled = max(0.0, nx * light.fill[0] + ny * light.fill[1] + nz * light.fill[2]) * ambient
            hx, hy, hz = light.sun[0] + ex, light.sun[1] + ey, light.sun[2] + ez
            length = 1.0 / (math.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9)
            shine = max(0.0, (nx * hx + ny * hy + nz * hz) * length) ** look[3] * look[2] * sunlit
            rim = (1.0 - facing) ** 3 * 0.10
            red, green, blue = _albedo(surface, maps, m, s, t)
            for channel in range(3):
                albedo = red if channel == 0 else (green if channel == 1 else blue)
                sky = _sky(light.sky, channel, nx, ny, nz) * ambient
                lit = sky + light.sun_colour[channel] * toward + light.fill_colour[channel] * filled
                image[y, x, channel] = albedo * lit + light.sun_colour[channel] * shine + sky * rim
    if shared > 1:
        for y in range(window[1], window[3]):
            for x in range(window[0], window[2]):
                i = face_ids[y, x] - first_id
                if 0 <= i < faces:
                    column, row = _source(face_ids, first_id, surface.face_material, x, y, shared)
                    for channel in range(3):
                        image[y, x, channel] = image[row, column, channel]
