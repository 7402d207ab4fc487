# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Crops: coordinates go there and back exactly, and the pixels go where the coordinates say."""

from __future__ import annotations

import numpy as np
import pytest

from sdtc_ros.crops import covariance_to_image, crop_boxes, crop_images, to_crop, to_image
from training.decode import decode_heatmaps, encode_heatmaps

SIZE = (192, 256)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Boxes of 5 to 800 px in and around a full HD image."""
    return np.concatenate(
        [rng.uniform(-200, 1900, (count, 2)), np.exp(rng.uniform(np.log(5), np.log(800), (count, 2)))], axis=1
    ).astype(np.float32)


def test_there_and_back_is_the_identity() -> None:
    """Image -> crop -> image within 0.01 px, for points anywhere about the box."""
    rng = np.random.default_rng(0)
    boxes = crop_boxes(random_boxes(rng, 500), 0.75)
    points = (boxes[:, None, :2] + rng.uniform(-0.5, 1.5, (500, 15, 2)) * boxes[:, None, 2:]).astype(np.float32)
    assert np.abs(to_image(to_crop(points, boxes, SIZE), boxes, SIZE) - points).max() < 0.01


def test_crop_and_decode_are_inverses() -> None:
    """Joints -> crop pixels -> heatmaps -> decoded -> image: within 0.05 crop pixels, whatever the box."""
    rng = np.random.default_rng(1)
    boxes = crop_boxes(random_boxes(rng, 100), 0.75)
    points = (boxes[:, None, :2] + rng.uniform(0, 1, (100, 15, 2)) * boxes[:, None, 2:]).astype(np.float32)
    heatmaps = encode_heatmaps(to_crop(points, boxes, SIZE), SIZE, (48, 64))
    back = to_image(decode_heatmaps(heatmaps, SIZE)[0][..., :2], boxes, SIZE)
    crop_pixel = boxes[:, None, 2:] / (np.array(SIZE) - 1)
    assert (np.abs(back - points) / crop_pixel).max() < 0.055


@pytest.mark.parametrize("box", [(100, 80, 60, 90), (300.3, 200.7, 200, 150), (-20, -10, 150, 180)])
def test_pixels_land_where_coordinates_say(box: tuple[float, float, float, float]) -> None:
    """The centroid of a smooth blob, drawn at a known place, is found in the crop at that place's crop pixel."""
    y, x = np.mgrid[:480, :640]
    boxes = crop_boxes(np.array([box], np.float32), 0.75)
    point = boxes[0, :2] + boxes[0, 2:] * (0.55, 0.48)
    width = boxes[0, 2] / 16
    blob = 250 * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * width**2))
    crop = crop_images(np.repeat(np.rint(blob).astype(np.uint8)[..., None], 3, 2), boxes, SIZE)[0, ..., 1].astype(float)
    weight = np.maximum(crop - 25, 0)
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    found = np.array([(weight * u).sum(), (weight * v).sum()]) / weight.sum()
    np.testing.assert_allclose(found, to_crop(point[None, None].astype(np.float32), boxes, SIZE)[0, 0], atol=0.1)


def test_boxes_grow_to_the_aspect_and_a_quarter_about_their_centre() -> None:
    """By hand: a tall box grows in width, a wide one in height, a point becomes a pixel's crop."""
    boxes = np.array([[100, 100, 30, 80], [100, 100, 80, 30], [50, 60, 0, 0]], np.float32)
    grown = crop_boxes(boxes, 0.75)
    np.testing.assert_allclose(grown[0], [115 - 37.5, 140 - 50, 75, 100])
    np.testing.assert_allclose(grown[1], [140 - 50, 115 - 200 / 3, 100, 400 / 3], rtol=1e-6)
    np.testing.assert_allclose(grown[2, :2] + grown[2, 2:] / 2, [50, 60])
    assert (grown[2, 2:] > 1).all()


def test_covariance_scales_with_the_box() -> None:
    """Covariances scale with the squares and the product of the two scales."""
    boxes = np.array([[5, 5, 191 * 2, 255 * 3]], np.float32)
    covariance = covariance_to_image(np.array([[[1.0, 0.5, 2.0]]], np.float32), boxes, SIZE)
    np.testing.assert_allclose(covariance[0, 0], [4, 3, 18], rtol=1e-6)


def test_outside_is_black_and_out_is_filled() -> None:
    image = np.full((50, 50, 3), 200, np.uint8)
    out = np.full((2, 256, 192, 3), 7, np.uint8)
    boxes = np.array([[500, 500, 75, 100], [10, 10, 15, 20]], np.float32)
    assert crop_images(image, boxes, SIZE, out=out) is out
    assert (out[0] == 0).all() and (out[1] == 200).all()
