# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""encode_heatmaps and decode_heatmaps: exact inverses, sensible at edges, on noise and on empty heatmaps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.decode import KERNEL, blur_matrix, decode_heatmaps, encode_heatmaps

SIZE, CELLS = (192, 256), (48, 64)


@pytest.mark.parametrize(("size", "cells"), [(SIZE, CELLS), ((96, 128), (24, 32)), ((288, 384), (72, 96))])
def test_decode_inverts_encode_everywhere_in_the_crop(size: tuple[int, int], cells: tuple[int, int]) -> None:
    """Random joints anywhere in the crop, its very edges included, come back within 0.05 px."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 1, (50, 15, 2)) * (np.array(size) - 1)
    points[0, :4] = [[0, 0], [size[0] - 1, 0], [0, size[1] - 1], [size[0] - 1, size[1] - 1]]
    keypoints, _ = decode_heatmaps(encode_heatmaps(points.astype(np.float32), size, cells), size)
    assert keypoints.shape == (50, 15, 3)
    assert np.abs(keypoints[..., :2] - points).max() < 0.05


def test_score_is_the_heatmaps_maximum_clipped() -> None:
    """The score is the raw maximum, and only a value outside 0..1 is changed."""
    heat = encode_heatmaps(np.array([[[80.0, 100.0]] * 3], np.float32), SIZE, CELLS)
    heat *= np.array([0.3, 1.7, -1.0], np.float32)[None, :, None, None]
    raw = heat.reshape(3, -1).max(axis=1)
    keypoints, _ = decode_heatmaps(heat, SIZE)
    np.testing.assert_allclose(keypoints[0, :, 2], np.clip(raw, 0, 1), atol=1e-6)


def test_covariance_is_the_gaussians_covariance() -> None:
    """Wide untruncated Gaussians: it grows with sigma squared, per axis, and the cross term keeps its sign."""
    y, x = np.mgrid[:64, :48].astype(np.float64)
    cov = np.array([[9.0, 4.0], [4.0, 16.0]])
    offset = np.stack([x - 24, y - 32], axis=-1)
    heat = np.exp(-0.5 * np.einsum("...i,ij,...j->...", offset, np.linalg.inv(cov), offset))
    _, covariance = decode_heatmaps(heat[None, None].astype(np.float32), SIZE)
    sx, sy = 191 / 47, 255 / 63
    ratio = covariance[0, 0] / np.array([9 * sx * sx, 4 * sx * sy, 16 * sy * sy])
    # cutting at a tenth of the peak narrows each moment by one same factor: 1 - 0.5 c (ln c)^2 / (1 - c + c ln c)
    cut = 0.1
    factor = 1 - 0.5 * cut * np.log(cut) ** 2 / (1 - cut + cut * np.log(cut))
    np.testing.assert_allclose(ratio, factor, rtol=0.02)


def test_noise_moves_a_joint_little_and_never_over_one_cell_from_the_argmax() -> None:
    """The blur makes the step robust: 2 % noise stays well under a cell, and pure noise stays beside its argmax."""
    rng = np.random.default_rng(1)
    points = rng.uniform(30, 150, (20, 15, 2)).astype(np.float32)
    heat = encode_heatmaps(points, SIZE, CELLS)
    noisy = heat + rng.normal(0, 0.02, heat.shape).astype(np.float32)
    error = np.linalg.norm(decode_heatmaps(noisy, SIZE)[0][..., :2] - points, axis=-1)
    assert np.sqrt((error**2).mean()) < 1.5
    noise = rng.normal(0, 1, (5, 15, 64, 48)).astype(np.float32)
    keypoints, covariance = decode_heatmaps(noise, SIZE)
    top = noise.reshape(5, 15, -1).argmax(axis=-1)
    cells = keypoints[..., :2] / np.array([191 / 47, 255 / 63])
    assert np.abs(cells - np.stack([top % 48, top // 48], axis=-1)).max() < 2.001  # one by the edge's move, one step
    assert np.isfinite(covariance).all()


def test_an_empty_or_flat_or_negative_heatmap_has_a_finite_answer() -> None:
    """Nothing divides by zero: score 0, covariance finite, position inside the crop."""
    heat = np.stack([np.zeros((64, 48)), np.full((64, 48), 0.5), np.full((64, 48), -3.0)])[None].astype(np.float32)
    keypoints, covariance = decode_heatmaps(heat, SIZE)
    assert np.isfinite(keypoints).all() and np.isfinite(covariance).all()
    np.testing.assert_allclose(keypoints[0, :, 2], [0.0, 0.5, 0.0])
    assert ((keypoints[..., :2] >= 0) & (keypoints[..., :2] <= [191, 255])).all()


def test_no_people_decode_to_no_people() -> None:
    """An empty batch keeps its shapes."""
    keypoints, covariance = decode_heatmaps(np.zeros((0, 15, 64, 48), np.float32), SIZE)
    assert keypoints.shape == covariance.shape == (0, 15, 3)


def test_blur_is_opencvs_gaussian() -> None:
    """The band matrices are the usual 11 x 11 GaussianBlur away from the edges."""
    image = np.random.default_rng(2).uniform(0, 1, (64, 48))
    ours = blur_matrix(64) @ image @ blur_matrix(48).T
    theirs = cv2.GaussianBlur(image, (KERNEL, KERNEL), 0, borderType=cv2.BORDER_CONSTANT)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
