# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Heatmaps <-> keypoints, unbiased: real-valued Gaussian targets and the UDP-DARK decoder (NumPy reference).

The exported temporal graph decodes by itself; this is the definition that it is tested against. Sources: Huang et
al., "The Devil is in the Details" (UDP, CVPR 2020) for the (W - 1) / (w - 1) coordinates, Zhang et al.,
"Distribution-Aware Coordinate Representation" (DARK, CVPR 2020) for the Newton step on the blurred log-heatmap.

Decoding, for every joint's h x w heatmap:

1. argmax cell (first of equals), score = its value clipped to 0..1;
2. blur with an 11 x 11 Gaussian of sigma 2, zeros outside. Where the argmax lies within 5 cells of an edge the raw
   heatmap is used instead: there the kernel hangs over the edge and would push the joint up to a cell inwards;
3. divide by the largest value, clip from below at 1e-3, take the logarithm;
4. 3 x 3 cells around the argmax (moved inwards by one at an edge) -> central differences -> one Newton step, each
   coordinate bounded to one cell, no step where the Hessian is not negative definite;
5. cells -> crop pixels by (W - 1) / (w - 1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

SIGMA = 2.0  # of the targets, in cells
KERNEL = 11  # of the blur; OpenCV's and mmpose's rule gives it sigma 0.3 * ((11 - 1) / 2 - 1) + 0.8 = 2.0
BLUR_SIGMA = 0.3 * ((KERNEL - 1) * 0.5 - 1) + 0.8
FLOOR = 1e-3  # relative to the peak: below it the logarithm is only noise
COVARIANCE_FLOOR = 0.1  # of the peak: mass below it says nothing about the joint


def encode_heatmaps(
    keypoints: FloatArray, size: tuple[int, int], heatmap_size: tuple[int, int], sigma: float = SIGMA
) -> FloatArray:
    """Gaussian targets at real-valued centres.

    keypoints: N x K x 2 or more (x, y in crop pixels); size: the crop's (width, height); heatmap_size: (w, h) cells;
    sigma in cells. Returns N x K x h x w float32 with peaks of at most 1.
    """
    columns, rows = heatmap_size
    units = cell_units(size, heatmap_size)
    centre = np.asarray(keypoints, np.float64)[..., :2] / units
    along_x = np.exp(-((np.arange(columns) - centre[..., :1]) ** 2) / (2 * sigma**2))
    along_y = np.exp(-((np.arange(rows) - centre[..., 1:2]) ** 2) / (2 * sigma**2))
    return (along_y[..., :, None] * along_x[..., None, :]).astype(np.float32)


def decode_heatmaps(heatmaps: FloatArray, size: tuple[int, int]) -> tuple[FloatArray, FloatArray]:
    """Decode N x K x h x w heatmaps of crops of `size` (width, height), as the module's text says.

    Returns keypoints N x K x 3 float32 (x, y in crop pixels, score 0..1) and covariance N x K x 3 float32 (xx, xy, yy
    in crop pixels squared): the second moment about the keypoint of what exceeds a tenth of the maximum.
    """
    n, k, rows, columns = heatmaps.shape
    maps = np.asarray(heatmaps, np.float64).reshape(n * k, rows, columns)
    flat = maps.reshape(n * k, rows * columns)
    top = flat.argmax(axis=1)
    peak = flat[np.arange(n * k), top]
    row, column = np.divmod(top, columns)

    reach = KERNEL // 2
    at_edge = (row < reach) | (row >= rows - reach) | (column < reach) | (column >= columns - reach)
    y, x = np.clip(row, 1, rows - 2), np.clip(column, 1, columns - 2)
    blurred = blur_matrix(rows) @ maps @ blur_matrix(columns).T
    raw_log = _log_patch(maps, peak, y, x)
    blurred_log = _log_patch(blurred, blurred.max(axis=(1, 2)), y, x)
    patch = np.where(at_edge[:, None, None], raw_log, blurred_log)

    cells = np.stack([x, y], axis=1) + _newton_step(patch)
    units = cell_units(size, (columns, rows))
    keypoints = np.concatenate([cells * units, np.clip(peak, 0, 1)[:, None]], axis=1)
    covariance = _covariance(maps, peak, cells) * np.array([units[0] ** 2, units[0] * units[1], units[1] ** 2])
    return (keypoints.reshape(n, k, 3).astype(np.float32), covariance.reshape(n, k, 3).astype(np.float32))


def cell_units(size: tuple[int, int], heatmap_size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Crop pixels a heatmap cell in x and y: (W - 1) / (w - 1), (H - 1) / (h - 1)."""
    return (np.array(size, np.float64) - 1) / (np.array(heatmap_size, np.float64) - 1)


def blur_matrix(length: int) -> npt.NDArray[np.float64]:
    """The 1-D Gaussian blur as a length x length band matrix (zeros outside the heatmap)."""
    distance = np.abs(np.arange(length)[:, None] - np.arange(length)[None, :])
    kernel = np.exp(-(np.arange(KERNEL // 2 + 1) ** 2) / (2 * BLUR_SIGMA**2))
    kernel /= kernel[0] + 2 * kernel[1:].sum()
    return np.where(distance <= KERNEL // 2, kernel[np.minimum(distance, KERNEL // 2)], 0.0)


def _log_patch(
    maps: npt.NDArray[np.float64], peak: npt.NDArray[np.float64], y: npt.NDArray[np.intp], x: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Logarithms of the 3 x 3 cells around (y, x) of every map, relative to its peak: M x 3 x 3."""
    around = np.arange(-1, 2)
    index = np.arange(len(maps))[:, None, None]
    patch = maps[index, (y[:, None] + around)[:, :, None], (x[:, None] + around)[:, None, :]]
    return np.log(np.maximum(patch / np.maximum(peak, 1e-12)[:, None, None], FLOOR))


def _newton_step(patch: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The bounded step (x, y in cells) from the centre of M x 3 x 3 log values to the maximum of their parabola."""
    dx, dy = (patch[:, 1, 2] - patch[:, 1, 0]) / 2, (patch[:, 2, 1] - patch[:, 0, 1]) / 2
    dxx = patch[:, 1, 2] - 2 * patch[:, 1, 1] + patch[:, 1, 0]
    dyy = patch[:, 2, 1] - 2 * patch[:, 1, 1] + patch[:, 0, 1]
    dxy = (patch[:, 2, 2] - patch[:, 2, 0] - patch[:, 0, 2] + patch[:, 0, 0]) / 4
    determinant = dxx * dyy - dxy * dxy
    concave = (determinant > 1e-9) & (dxx < 0)
    safe = np.where(concave, determinant, 1.0)
    step = np.stack([(dxy * dy - dyy * dx) / safe, (dxy * dx - dxx * dy) / safe], axis=1)
    return np.clip(np.where(concave[:, None], step, 0.0), -1.0, 1.0)


def _covariance(
    maps: npt.NDArray[np.float64], peak: npt.NDArray[np.float64], cells: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Second moments (xx, xy, yy in cells squared) about `cells` (M x 2), weights relu(map - 0.1 peak)."""
    weight = np.maximum(maps - COVARIANCE_FLOOR * np.maximum(peak, 0.0)[:, None, None], 0.0)
    x = np.arange(maps.shape[2]) - cells[:, :1]
    y = np.arange(maps.shape[1]) - cells[:, 1:]
    by_x, by_y = weight.sum(axis=1), weight.sum(axis=2)
    total = np.maximum(by_x.sum(axis=1), 1e-12)
    xx, yy = (by_x * x * x).sum(axis=1), (by_y * y * y).sum(axis=1)
    xy = np.einsum("myx,my,mx->m", weight, y, x)
    return np.stack([xx, xy, yy], axis=1) / total[:, None]
