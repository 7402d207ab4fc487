# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Stacks of 3x3 rotations, (..., 3, 3) float64: about an axis, between two directions, part of the way between two."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation


def about(axis: str, angle: float | np.ndarray) -> np.ndarray:
    """Rotations by `angle` radians, any shape, about "x", "y" or "z"; returns (*shape of angle, 3, 3)."""
    angle = np.asarray(angle, float)
    cos, sin = np.cos(angle), np.sin(angle)
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.zeros((*angle.shape, 3, 3))
    matrix[...] = np.eye(3)
    matrix[..., i, i] = matrix[..., j, j] = cos
    matrix[..., i, j], matrix[..., j, i] = -sin, sin
    return matrix


def about_vector(vector: np.ndarray) -> np.ndarray:
    """Rotations (..., 3, 3) about vectors (..., 3) by their lengths, radians."""
    return np.asarray(Rotation.from_rotvec(vector).as_matrix())


def between(start: np.ndarray, end: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """The rotation `share` of the way from `start` to `end`, stacks of one shape (N, 3, 3)."""
    step = vector_of(np.swapaxes(start, -1, -2) @ end)
    share = np.asarray(share, float)
    return start @ about_vector(step * (share[..., None] if share.ndim else share))


def vector_of(rotation: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3), radians, of rotations (..., 3, 3); SciPy's checks cost more than this."""
    r = rotation
    sine = np.stack([r[..., 2, 1] - r[..., 1, 2], r[..., 0, 2] - r[..., 2, 0], r[..., 1, 0] - r[..., 0, 1]], -1) / 2
    length = np.linalg.norm(sine, axis=-1)
    angle = np.arctan2(length, (np.trace(r, axis1=-2, axis2=-1) - 1) / 2)
    vector = sine * np.where(length > 1e-9, angle / np.maximum(length, 1e-9), 1.0)[..., None]
    half = np.asarray((angle > 3.1) & (length < 0.05))  # half a turn: the sine tells no axis
    if half.any():
        vector[half] = Rotation.from_matrix(r[half]).as_rotvec()
    return vector


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of stacks (..., 3); np.cross takes several times as long on small stacks."""
    x = a[..., 1] * b[..., 2] - a[..., 2] * b[..., 1]
    y = a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]
    return np.stack([x, y, a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]], axis=-1)


def turning(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """The smallest rotation, (3, 3), that turns direction `start` into direction `end`, both (3,)."""
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    axis = cross(start, end)
    sine = np.linalg.norm(axis)
    if sine < 1e-8:
        return np.eye(3)
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, start @ end)).as_matrix()


def frames(x: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Rotations whose columns are the directions x, z made square to x, and y between: (N, 3), (N, 3) to (N, 3, 3)."""
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    y = cross(z, x)
    y /= np.linalg.norm(y, axis=-1, keepdims=True)
    return np.stack([x, y, cross(x, y)], axis=-1)
