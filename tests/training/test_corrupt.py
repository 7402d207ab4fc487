# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Corruptions of windows: pixels change where they should, labels follow the pixels, seeds fix everything."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from training.data.corrupt import Corruption, blur, corrupt, darken, flip, occlude, recolour, restyle, shake, spans

WINDOW = np.random.default_rng(0).integers(0, 256, (5, 64, 48, 3), dtype=np.uint8)


def changed(images: np.ndarray) -> list[bool]:
    return [bool((one != other).any()) for one, other in zip(images, WINDOW, strict=True)]


def test_only_the_frames_that_are_named_are_hit() -> None:
    for hit in (occlude, blur):
        images = WINDOW.copy()
        arguments = (images, [1, 2], WINDOW[0]) if hit is occlude else (images, [1, 2])
        hit(*arguments, np.random.default_rng(0))  # type: ignore[operator]
        assert changed(images) == [False, True, True, False, False]


def test_spans_lie_in_the_window_and_reach_one_three_and_all_frames() -> None:
    random = np.random.default_rng(0)
    drawn = [tuple(spans(5, random)) for _ in range(200)]
    assert {(2,), (1, 2, 3), (0, 1, 2, 3, 4)} <= set(drawn)
    assert all(set(span) <= set(range(5)) and span for span in drawn)
    assert spans(1, random) == [0]


def test_the_same_seed_gives_the_same_window_and_the_given_one_stays() -> None:
    config = Corruption(occluded=1, blurred=1, dark=1, coarse=1)
    before = WINDOW.copy()
    one, other = (corrupt(WINDOW, WINDOW[0], config, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(one, other) and np.array_equal(WINDOW, before)
    assert all(changed(one))


def test_darkness_is_dark() -> None:
    images = WINDOW.copy()
    darken(images, np.random.default_rng(0))
    assert images.mean() < WINDOW.mean()


@pytest.mark.parametrize("size", [None, (72, 80)])
@pytest.mark.parametrize("turned", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_labels_follow_the_pixels_of_a_shaken_window(seed: int, turned: float, size: tuple[int, int] | None) -> None:
    images = np.zeros((1, 64, 48, 3), np.uint8)
    images[0, 28:31, 20:23] = 255  # its middle is (21, 29)
    random = np.random.default_rng(seed)
    moved, points = shake(images, np.array([[[21.0, 29.0]]], np.float32), Corruption(turned=turned), random, size)
    assert moved.shape == (1, *(size or (48, 64))[::-1], 3)
    rows, columns = np.nonzero(moved[0, ..., 0] > 127)
    assert np.hypot(columns.mean() - points[0, 0, 0], rows.mean() - points[0, 0, 1]) < 0.8


def test_a_mirrored_person_has_left_and_right_exchanged() -> None:
    points = np.array([[[5.0, 1.0], [40.0, 2.0], [9.0, 3.0]]], np.float32)
    images, mirrored = flip(WINDOW[:1], points, [(0, 1)])
    assert np.array_equal(images[0, :, 0], WINDOW[0, :, -1])
    assert mirrored[0].tolist() == [[7.0, 2.0], [42.0, 1.0], [38.0, 3.0]]


def test_a_restyled_window_shows_the_same_things_in_other_colours() -> None:
    before = WINDOW.copy()
    made = [restyle(WINDOW, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])
    assert made[0].dtype == np.uint8 and made[0].shape == WINDOW.shape and np.array_equal(WINDOW, before)
    window = np.full((1, 64, 48, 3), 60, np.uint8)
    window[:, 20:40, 10:30] = 180
    for seed in range(10):
        restyled = restyle(window, np.random.default_rng(seed))[0]
        assert restyled[22:38, 12:28].mean() > restyled[:16].mean() + 10


def test_all_frames_of_a_window_are_recoloured_alike_and_grey_keeps_its_order() -> None:
    frame = np.repeat(np.arange(0, 240, 5, dtype=np.uint8)[None, :, None], 3, axis=2)  # a grey ramp
    for seed in range(20):
        ramp = recolour(np.stack([frame, frame]), np.random.default_rng(seed))
        assert np.array_equal(ramp[0], ramp[1]) and ramp.dtype == np.float32
        assert (np.diff(ramp[0], axis=1) >= -1e-3).all() and 0 <= ramp.min() <= ramp.max() <= 255


def test_recolouring_changes_light_contrast_and_colours() -> None:
    coloured = np.random.default_rng(0).integers(60, 180, (1, 32, 32, 3)).astype(np.uint8)
    coloured[..., 2] //= 2
    made = [recolour(coloured, np.random.default_rng(seed)) for seed in range(20)]
    for measure in (np.mean, np.std, lambda picture: picture[..., 2].mean() / picture[..., 0].mean()):
        assert np.std([measure(picture) for picture in made]) > 0.1 * abs(measure(coloured))


def test_a_mirrored_crop_shows_its_own_mirror_image_outside() -> None:
    picture = np.random.default_rng(0).integers(50, 256, (1, 64, 48, 3), dtype=np.uint8)
    points = np.array([[[24.0, 32.0]]], np.float32)
    mirror = np.pad(picture[0], ((64, 64), (48, 48), (0, 0)), mode="reflect")
    config = {"shift": 0.3, "scale": 0.0, "rotation": 0.0}
    for seed in range(5):
        black, mirrored = (
            shake(picture, points, Corruption(**config, mirrored=share), np.random.default_rng(seed))
            for share in (0.0, 1.0)
        )
        assert black[0].min() == 0 and mirrored[0].min() >= 50
        left, top = (48, 64) - (mirrored[1][0, 0] - (24, 32))
        part = cv2.getRectSubPix(mirror, (48, 64), (left + 23.5, top + 31.5))
        assert np.abs(part.astype(int) - mirrored[0][0]).mean() < 3
