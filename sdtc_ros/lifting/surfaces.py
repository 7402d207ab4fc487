# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The surfaces that a depth image shows around each joint, as a few candidates along the joint's ray.

Under a joint's covariance ellipse lie its limb, what is behind the limb's edge, and what stands before it. Samples
that differ by more than a gap in depth belong to different surfaces; each surface is one candidate with the share of
the (Gaussian weighted) samples that saw it. Which one is the limb is decided by `choice`, from the whole body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

CANDIDATES = 4  # surfaces kept for a joint
GAP, GAP_SLOPE = 0.08, 0.02  # metres between two surfaces: at 0 m, and more for every metre, as sensors' noise grows
BESIDE, BESIDE_SLOPE = 0.05, 0.006  # metres around a surface's median that are averaged: at 0 m, by distance squared
HOLES = 0.2  # what the samples without a depth count: little, for depth cameras see nothing at edges
SAMPLES = 48
REACH = 2.0  # radius of the sampled disc, in standard deviations


@dataclass(frozen=True)
class Surfaces:
    """N joints' candidates, the best seen first; C = CANDIDATES.

    depths: N x C metres along the optical axis, NaN where there is no further surface; weights: N x C, shares of the
    samples (those without a depth count a little); deviations: N x C metres, standard deviation of a surface's samples.
    """

    depths: Float64Array
    weights: Float64Array
    deviations: Float64Array


def _disc() -> tuple[Float64Array, Float64Array]:
    """Points of a disc, evenly spread by the golden angle (S x 2, in standard deviations), and their weights (S)."""
    number = np.arange(SAMPLES)
    radius, angle = REACH * np.sqrt((number + 0.5) / SAMPLES), number * np.pi * (3 - 5**0.5)
    weights = np.exp(-0.5 * radius**2)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), weights / weights.sum()


_POINTS, _WEIGHTS = _disc()


def depths_near(depth: FloatArray, pixels: Float64Array, farthest: float, half: int = 1) -> Float64Array:
    """Median depth of the (2 * half + 1)² pixels around each of N x 2 (x, y); NaN where none of them has one.

    Values beyond `farthest` metres are not believed.
    """
    step = np.arange(-half, half + 1)
    offsets = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    return known_median(_read(depth, pixels[:, None] + offsets, farthest))


def surfaces_under(depth: FloatArray, pixels: Float64Array, covariances: Float64Array, farthest: float) -> Surfaces:
    """The surfaces under N joints: pixels N x 2 (x, y), covariances N x 3 (xx, xy, yy; pixels squared).

    depth: H x W float32 metres, 0 or not finite where it is unknown; values beyond `farthest` metres are not
    believed.
    """
    values = _read(depth, pixels[:, None] + _POINTS @ _roots(covariances).transpose(0, 2, 1), farthest)
    order = np.argsort(np.where(np.isfinite(values), values, np.inf), axis=1)
    values = np.take_along_axis(values, order, axis=1)
    weights = np.where(np.isfinite(values), _WEIGHTS[order], 0.0)
    with np.errstate(invalid="ignore"):
        new = np.diff(values, axis=1) > GAP + GAP_SLOPE * values[:, :-1]
    labels = np.concatenate([np.zeros((len(values), 1), np.int64), np.cumsum(new, axis=1)], axis=1)
    return _best(values, weights, labels)


def _best(values: Float64Array, weights: Float64Array, labels: npt.NDArray[np.int64]) -> Surfaces:
    """The CANDIDATES heaviest groups of the sorted samples (N x S each).

    A group's depth is the mean of those samples that lie near its median: less noise than the median has, and no
    other limb that touches this one.
    """
    count, known = len(values), np.isfinite(values)
    group = (np.arange(count)[:, None] * SAMPLES + labels).reshape(-1)
    shares = np.bincount(group, weights.reshape(-1), count * SAMPLES).reshape(count, SAMPLES)
    sizes = np.bincount(group, known.reshape(-1), count * SAMPLES).reshape(count, SAMPLES).astype(np.int64)
    chosen = np.argsort(-shares, axis=1, kind="stable")[:, :CANDIDATES]
    starts = np.take_along_axis(np.cumsum(sizes, axis=1) - sizes, chosen, axis=1)
    shares, sizes = np.take_along_axis(shares, chosen, axis=1), np.take_along_axis(sizes, chosen, axis=1)
    middle = np.take_along_axis(values, np.minimum(starts + np.maximum(sizes - 1, 0) // 2, SAMPLES - 1), axis=1)
    middle = np.where(shares > 0, middle, np.nan)
    reach = BESIDE + BESIDE_SLOPE * middle**2
    first = np.maximum(starts, (values[:, None] <= (middle - reach)[..., None]).sum(axis=2))
    last = np.minimum(starts + sizes, (values[:, None] < (middle + reach)[..., None]).sum(axis=2))
    number = np.maximum(last - first, 1)
    mean, square = (_between(np.where(known, values, 0) ** power, first, last) / number for power in (1, 2))
    shares = shares / (shares.sum(axis=1, keepdims=True) + HOLES) * (1 + HOLES)
    blank = np.isnan(middle)
    deviations = np.sqrt(np.maximum(square - mean**2, 0))
    return Surfaces(np.where(blank, np.nan, mean), shares, np.where(blank, np.nan, deviations))


def _between(values: Float64Array, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Float64Array:
    """Sums of each row's values (N x S) from `first` to before `last` (N x C)."""
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    return np.take_along_axis(sums, np.maximum(last, first), axis=1) - np.take_along_axis(sums, first, axis=1)


def _read(depth: FloatArray, places: Float64Array, farthest: float) -> Float64Array:
    """Depths at N x S x 2 places (the nearest pixel), NaN outside the image and where they are unknown."""
    height, width = depth.shape
    pixels = np.where(np.isfinite(places), places, -1)
    nearest = np.clip(np.rint(pixels), -1, max(height, width)).astype(np.int64)
    x, y = nearest[..., 0], nearest[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    values = depth[np.where(inside, y, 0), np.where(inside, x, 0)].astype(np.float64)
    return np.where(inside & (values > 0) & (values <= farthest), values, np.nan)


def known_median(values: Float64Array) -> Float64Array:
    """Median of the known ones of each row, NaN where there is none."""
    known = np.isfinite(values)
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    middle = np.maximum(known.sum(axis=1) - 1, 0) // 2
    found = np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0]
    return np.where(known.any(axis=1), found, np.nan)


def _roots(covariances: Float64Array) -> Float64Array:
    """Lower triangular square roots (N x 2 x 2) of covariances N x 3 (xx, xy, yy)."""
    xx, xy, yy = covariances.T
    first = np.sqrt(np.maximum(xx, 1e-12))
    below = xy / first
    roots = np.zeros((len(covariances), 2, 2))
    roots[:, 0, 0], roots[:, 1, 0], roots[:, 1, 1] = first, below, np.sqrt(np.maximum(yy - below**2, 1e-12))
    return roots
