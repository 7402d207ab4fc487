# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joints in space against exact ones: distance errors, by visibility and range, and whether covariances tell the truth.

People are matched by their boxes in the image (intersection over union of at least a half, the largest sum over a
frame), so that an error in depth cannot hide a person. MPJPE is the mean distance of the joints that were given;
PCK counts a joint that was not given, and every joint of a person not found, as missed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from sdtc_ros.detection.boxes import overlaps

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

WITHIN = 0.1  # metres of PCK
MIN_OVERLAP = 0.5
RANGES = (0.0, 2.0, 4.0, 6.0, np.inf)  # metres, along the optical axis
ONE_SIGMA = 0.1987  # share of a three-dimensional Gaussian within one standard deviation (chi-squared, 3 degrees)


@dataclass(frozen=True)
class Joints3D:
    """N people of one frame in space.

    boxes: N x 4 (xywh, image pixels); joints: N x K x 3 metres in the camera's optical frame, NaN where unknown;
    visible: N x K, whether the camera sees the joint (of the ground truth), or None; covariances: N x K x 3 x 3
    metres squared (of predictions), or None.
    """

    boxes: FloatArray
    joints: FloatArray
    visible: npt.NDArray[np.bool_] | None = None
    covariances: FloatArray | None = None


@dataclass(frozen=True)
class Accuracy3D:
    """Figures of one group of joints: how many, percent given, MPJPE (metres), PCK at 100 mm, percent within 1 sigma.

    along_sigma: percent whose error along the optical axis, which depth makes, is within 1 sigma of the covariance's.
    """

    count: int
    given: float
    mpjpe: float
    pck: float
    within_sigma: float
    along_sigma: float

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, None where there is nothing to tell."""
        return {key: None if value != value else value for key, value in vars(self).items()}


def evaluate_3d(frames: Iterable[tuple[Joints3D, Joints3D]]) -> dict[str, Accuracy3D]:
    """Figures of pairs (ground truth, predictions), by group: 'all', 'visible', 'occluded', 'visible 2-4 m' ..."""
    rows = [_compare(truth, predicted) for truth, predicted in frames]
    if not rows:
        return {}
    error, sigma, seen, distance, along = (np.concatenate([row[index] for row in rows]) for index in range(5))
    visible: npt.NDArray[np.bool_] = seen > 0
    groups = {"all": np.ones(len(error), np.bool_), "visible": visible, "occluded": np.logical_not(visible)}
    for near, far in zip(RANGES, RANGES[1:], strict=False):
        name = f"visible {near:g}-{far:g} m" if np.isfinite(far) else f"visible beyond {near:g} m"
        groups[name] = visible & (distance >= near) & (distance < far)
    return {name: _figures(error[mask], sigma[mask], along[mask]) for name, mask in groups.items() if mask.any()}


def table(figures: dict[str, Accuracy3D]) -> str:
    """The figures as lines of text."""
    head = f"{'joints':<18}{'count':>8}{'given %':>9}{'MPJPE mm':>10}{'PCK 100 mm':>12}{'in 1 sigma %':>14}{'along':>7}"
    lines = [
        f"{name:<18}{one.count:>8}{one.given:>9.1f}{1000 * one.mpjpe:>10.1f}{one.pck:>12.1f}{one.within_sigma:>14.1f}"
        f"{one.along_sigma:>7.1f}"
        for name, one in figures.items()
    ]
    return "\n".join([head, *lines, f"(a Gaussian: {100 * ONE_SIGMA:.1f} % within 1 sigma, 68.3 % along one axis)"])


def _figures(error: Float64Array, sigma: Float64Array, along: Float64Array) -> Accuracy3D:
    known, judged = np.isfinite(error), np.isfinite(sigma)
    return Accuracy3D(
        count=len(error),
        given=100 * float(known.mean()),
        mpjpe=float(error[known].mean()) if known.any() else float("nan"),
        pck=100 * float((error <= WITHIN).mean()),
        within_sigma=100 * float((sigma[judged] <= 1).mean()) if judged.any() else float("nan"),
        along_sigma=100 * float((along[judged] <= 1).mean()) if judged.any() else float("nan"),
    )


def _compare(truth: Joints3D, predicted: Joints3D) -> tuple[Float64Array, ...]:
    """For every joint of the truth: error in metres (NaN: not given), in sigmas, visible, distance, sigmas in depth."""
    joints = np.full(truth.joints.shape, np.nan)
    covariances = np.full((*truth.joints.shape, 3), np.nan)
    for person, other in _pairs(truth.boxes, predicted.boxes):
        joints[person] = predicted.joints[other]
        if predicted.covariances is not None:
            covariances[person] = predicted.covariances[other]
    exists = np.isfinite(truth.joints).all(axis=2)
    off = joints - truth.joints.astype(np.float64)
    error = np.sqrt((off**2).sum(axis=2))
    visible = np.ones(exists.shape, bool) if truth.visible is None else truth.visible
    axis = np.abs(off[exists][:, 2]) / np.sqrt(covariances[exists][:, 2, 2])
    return (
        error[exists], _sigmas(off[exists], covariances[exists]), visible[exists].astype(np.float64),
        truth.joints[exists][:, 2].astype(np.float64), axis,
    )  # fmt: skip


def _sigmas(off: Float64Array, covariances: Float64Array) -> Float64Array:
    """Mahalanobis distances of N errors, NaN where the covariance is unknown."""
    result = np.full(len(off), np.nan)
    known = np.isfinite(off).all(axis=1) & np.isfinite(covariances).all(axis=(1, 2))
    if known.any():
        solved = np.linalg.solve(covariances[known] + 1e-12 * np.eye(3), off[known][:, :, None])[:, :, 0]
        result[known] = np.sqrt(np.maximum((off[known] * solved).sum(axis=1), 0))
    return result


def _pairs(truth: FloatArray, predicted: FloatArray) -> list[tuple[int, int]]:
    """Indices of the boxes that belong together."""
    if not len(truth) or not len(predicted):
        return []
    shared = overlaps(np.asarray(truth, np.float32), np.asarray(predicted, np.float32))
    rows, columns = linear_sum_assignment(-shared)
    return [(int(a), int(b)) for a, b in zip(rows, columns, strict=True) if shared[a, b] >= MIN_OVERLAP]
