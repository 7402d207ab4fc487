# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A z-buffer rasteriser on one core, in numba: skinning, projection, which face is nearest at every pixel.

Pixel centres lie at whole numbers, x right, y down; depth is kept as 1 / z, which is linear on the screen: bigger is
nearer, 0 is nothing.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

ALPHA_THRESHOLD = 110  # of 255: a map's value from which on there is something


@njit(cache=True, fastmath=True, nogil=True)
def skin(
    rest: np.ndarray, weights: np.ndarray, bones: np.ndarray, rotation: np.ndarray, translation: np.ndarray,
    moved: np.ndarray,
) -> None:  # fmt: skip
    """Vertices (N, 3) moved by their bones' transforms, written to `moved`."""
    for i in range(rest.shape[0]):
        x, y, z = rest[i, 0], rest[i, 1], rest[i, 2]
        for axis in range(3):
            total = np.float32(0)
            for k in range(weights.shape[1]):
                w = weights[i, k]
                if w > 0:
                    b = bones[i, k]
                    r = rotation[b, axis]
                    total += w * (r[0] * x + r[1] * y + r[2] * z + translation[b, axis])
            moved[i, axis] = total


@njit(cache=True, fastmath=True, nogil=True)
def vertex_normals(vertices: np.ndarray, faces: np.ndarray, normals: np.ndarray) -> None:
    """Unit normals (N, 3), the mean of the faces' around weighted by area, written to `normals`."""
    normals[:] = 0
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        wx, wy, wz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        x, y, z = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for j in (a, b, c):
            normals[j, 0] += x
            normals[j, 1] += y
            normals[j, 2] += z
    for i in range(normals.shape[0]):
        length = math.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-12
        for axis in range(3):
            normals[i, axis] /= length


@njit(cache=True, fastmath=True, nogil=True)
def project(
    vertices: np.ndarray, rotation: np.ndarray, translation: np.ndarray, focal: float, cx: float, cy: float,
    screen: np.ndarray,
) -> None:  # fmt: skip
    """Pixels x, y and 1 / z (N, 3) of world vertices through a pinhole; 1 / z is -1 nearer than 5 cm and behind."""
    r, t = rotation, translation
    for i in range(vertices.shape[0]):
        vx, vy, vz = vertices[i, 0], vertices[i, 1], vertices[i, 2]
        z = r[2, 0] * vx + r[2, 1] * vy + r[2, 2] * vz + t[2]
        if z < 0.05:
            screen[i, 2] = -1.0
            continue
        inverse = 1.0 / z
        screen[i, 0] = focal * (r[0, 0] * vx + r[0, 1] * vy + r[0, 2] * vz + t[0]) * inverse + cx
        screen[i, 1] = focal * (r[1, 0] * vx + r[1, 1] * vy + r[1, 2] * vz + t[1]) * inverse + cy
        screen[i, 2] = inverse


@njit(cache=True, fastmath=True, nogil=True)
def draw(
    screen: np.ndarray, faces: np.ndarray, face_uv: np.ndarray, face_alpha: np.ndarray, alphas: np.ndarray,
    inverse_depth: np.ndarray, face_ids: np.ndarray, first_id: int,
) -> None:  # fmt: skip
    """Draw a mesh's faces into the depth and face-number buffers (H, W); face i becomes first_id + i.

    face_alpha: (F,) alpha map of each face, or -1 for solid ones.
    """
    height, width = inverse_depth.shape
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        ax, bx, cx = screen[a, 0], screen[b, 0], screen[c, 0]
        left, right = max(0, math.ceil(min(ax, bx, cx))), min(width - 1, math.floor(max(ax, bx, cx)))
        if left > right:  # most faces of a small person lie between pixel centres
            continue
        ay, by, cy = screen[a, 1], screen[b, 1], screen[c, 1]
        top, bottom = max(0, math.ceil(min(ay, by, cy))), min(height - 1, math.floor(max(ay, by, cy)))
        if top > bottom:
            continue
        za, zb, zc = screen[a, 2], screen[b, 2], screen[c, 2]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if za <= 0 or zb <= 0 or zc <= 0 or abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
                v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
                w = 1.0 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                z = u * za + v * zb + w * zc
                if z <= inverse_depth[y, x]:
                    continue
                if face_alpha[i] >= 0:
                    s = u * face_uv[i, 0, 0] + v * face_uv[i, 1, 0] + w * face_uv[i, 2, 0]
                    t = u * face_uv[i, 0, 1] + v * face_uv[i, 1, 1] + w * face_uv[i, 2, 1]
                    n = alphas.shape[1]
                    if alphas[face_alpha[i], int((1 - t) * n) % n, int(s * n) % n] < ALPHA_THRESHOLD:
                        continue
                inverse_depth[y, x] = z
                face_ids[y, x] = first_id + i


@njit(cache=True, fastmath=True, nogil=True)
def draw_depth(screen: np.ndarray, faces: np.ndarray, nearest: np.ndarray) -> None:
    """The largest third coordinate at every pixel of `nearest` (H, W): shadow maps, silhouettes."""
    height, width = nearest.shape
    for i in range(faces.shape[0]):
        a, b, c = faces[i, 0], faces[i, 1], faces[i, 2]
        ax, bx, cx = screen[a, 0], screen[b, 0], screen[c, 0]
        left, right = max(0, math.ceil(min(ax, bx, cx))), min(width - 1, math.floor(max(ax, bx, cx)))
        if left > right:
            continue
        ay, by, cy = screen[a, 1], screen[b, 1], screen[c, 1]
        top, bottom = max(0, math.ceil(min(ay, by, cy))), min(height - 1, math.floor(max(ay, by, cy)))
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if top > bottom or abs(area) < 1e-9:
            continue
        scale = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                u = ((bx - x) * (cy - y) - (by - y) * (cx - x)) * scale
                v = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) * scale
                w = 1.0 - u - v
                if u >= 0 and v >= 0 and w >= 0:
                    z = u * screen[a, 2] + v * screen[b, 2] + w * screen[c, 2]
                    if z > nearest[y, x]:
                        nearest[y, x] = z


@njit(cache=True, fastmath=True, nogil=True)
def mark(screen: np.ndarray, nearest: np.ndarray) -> None:
    """As draw_depth, of the vertices alone: the silhouette of a mesh that is fine for this picture."""
    height, width = nearest.shape
    for i in range(screen.shape[0]):
        x, y = math.floor(screen[i, 0] + 0.5), math.floor(screen[i, 1] + 0.5)
        if 0 <= x < width and 0 <= y < height and screen[i, 2] > nearest[y, x]:
            nearest[y, x] = screen[i, 2]


@njit(cache=True, fastmath=True, nogil=True)
def to_light(
    vertices: np.ndarray, axes: np.ndarray, origin: np.ndarray, scale: float, size: int, out: np.ndarray
) -> None:
    """Shadow-map pixels and the distance towards the light (N, 3) of world vertices, orthographic."""
    for i in range(vertices.shape[0]):
        x, y, z = vertices[i, 0] - origin[0], vertices[i, 1] - origin[1], vertices[i, 2] - origin[2]
        out[i, 0] = (axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z) * scale + size * 0.5
        out[i, 1] = (axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z) * scale + size * 0.5
        out[i, 2] = axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z


@njit(cache=True, nogil=True)
def bounds(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and largest of each coordinate, (C,) and (C,), of points (N, C); NumPy takes ten times as long."""
    low, high = points[0].copy(), points[0].copy()
    for i in range(1, points.shape[0]):
        for axis in range(points.shape[1]):
            low[axis] = min(low[axis], points[i, axis])
            high[axis] = max(high[axis], points[i, axis])
    return low, high


@njit(cache=True, nogil=True)
def screen_bounds(screen: np.ndarray) -> tuple[float, float, float, float, bool]:
    """Left, top, right, bottom of projected vertices (N, 3) before the camera, and whether all of them are."""
    left, top, right, bottom, whole = np.inf, np.inf, -np.inf, -np.inf, True
    for i in range(screen.shape[0]):
        if screen[i, 2] > 0:
            left, right = min(left, screen[i, 0]), max(right, screen[i, 0])
            top, bottom = min(top, screen[i, 1]), max(bottom, screen[i, 1])
        else:
            whole = False
    return left, top, right, bottom, whole
