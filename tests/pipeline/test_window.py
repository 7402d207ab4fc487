# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Windows whose frames keep crops of their own, for a model that takes moves."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.crops import crop_boxes, crop_moves, drift, to_image
from sdtc_ros.engine.base import no_moves
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.pipeline.window import FAR, WindowRing
from sdtc_ros.types import Boxes, Frame

ASPECT = 0.75
IMAGE = np.zeros((120, 400, 3), np.uint8)


def boxes_at(left: float) -> Boxes:
    """One person of 30 x 60 pixels, crop 56 x 75."""
    return Boxes(np.array([[left, 30, 30, 60]], np.float32), np.ones(1, np.float32), np.array([7]))


class Seen(NamedTuple):
    """A keyframe's fresh crop (4), its window's crops (5 x 4), and how many of them were to be encoded."""

    fresh: np.ndarray
    crops: np.ndarray
    missing: int


def walk(ring: WindowRing, lefts: list[float], takes_moves: bool = True) -> list[Seen]:
    """Keyframes two frames late, whose tokens are then the crops that they were cut with."""
    found = []
    for left in lefts:
        newest = ring.push(Frame(IMAGE, ring.newest + 1), boxes_at(left))
        if newest < 2:
            continue
        keyframe = ring.keyframe(newest - 2)
        keyframe.store([tuple(crop) for _, crops in keyframe.cuts() for crop in crops.tolist()])
        crops = np.array(keyframe.windows()[0], np.float32)
        np.testing.assert_array_equal(crops[2], keyframe.crops[0])
        moves = keyframe.moves((48, 64))
        if takes_moves:
            np.testing.assert_array_equal(moves, crop_moves(crops[None], keyframe.crops, (48, 64)))
        else:
            assert moves is None and (crops == crops[2]).all()
        found.append(Seen(crop_boxes(keyframe.boxes, ASPECT)[0], crops, keyframe.missing))
    return found


def test_who_walks_is_encoded_once_a_frame() -> None:
    lefts = [10 + 3.0 * number for number in range(40)]  # 5 % of the crop a frame
    with_moves, without = (walk(WindowRing(2, ASPECT, 0.1, moves=moves), lefts, moves) for moves in (True, False))
    assert sum(seen.missing for seen in with_moves) <= 42
    assert sum(seen.missing for seen in without) > 80
    for seen in with_moves:
        assert drift(seen.crops[2:3], seen.fresh[None]) <= 0.1 + 1e-6
    assert len(np.unique(with_moves[20].crops[:, 0])) > 1


def test_a_threshold_of_zero_is_the_papers_protocol() -> None:
    for seen in walk(WindowRing(2, ASPECT, 0.0, moves=True), [10 + 3.0 * number for number in range(12)]):
        np.testing.assert_array_equal(seen.crops, np.tile(seen.fresh, (5, 1)))


def test_what_is_far_from_the_keyframe_is_encoded_in_its_crop() -> None:
    found = walk(WindowRing(2, ASPECT, 0.1, moves=True), [10.0] * 6 + [100.0] * 6)
    assert [seen.missing for seen in found] == [3, 1, 1, 1, 1, 1, 5, 1, 1, 1]
    for seen in found:
        assert max(drift(seen.crops[2:3], crop[None]) for crop in seen.crops) <= FAR


def test_a_threshold_that_becomes_zero_holds_from_the_next_keyframe_on() -> None:
    ring = WindowRing(2, ASPECT, 0.1, moves=True)
    walk(ring, [10 + 3.0 * number for number in range(12)])
    ring.threshold = 0.0
    (seen,) = walk(ring, [46.0])
    np.testing.assert_array_equal(seen.crops, np.tile(seen.fresh, (5, 1)))


@pytest.mark.parametrize("lookahead", [0, 2])
def test_joints_of_all_frames_come_out_where_they_are_in_the_image(tmp_path: Path, lookahead: int) -> None:
    """Joint k is drawn at (10 + f, 10 + f) pixels of the own crop of the window's frame f = k mod 5."""
    bundle = make_bundle(tmp_path, moves=True)
    pipeline = Pipeline(bundle, OnnxEngine(bundle, threads=1), PipelineConfig(lookahead=lookahead, min_box_score=0))
    lefts = [50 + 7.0 * number for number in range(12)]  # 13 % of the crop: each frame's is its own box's
    answers = [
        pipeline.process(Frame(np.full((120, 400, 3), 10 + number, np.uint8), number), boxes_at(left))
        for number, left in enumerate(lefts)
    ]
    number = 8
    (pose,) = next(a for a in answers if a is not None and a.frame.stamp == number).poses
    for place in range(5):
        frame = min(number - 2 + place, number + lookahead)
        crop = crop_boxes(boxes_at(lefts[frame]).xywh, ASPECT)
        drawn = np.full((1, 1, 2), 10.0 + frame, np.float32)
        np.testing.assert_allclose(pose.keypoints[place, :2], to_image(drawn, crop, bundle.input_size)[0, 0], atol=1e-3)


def test_without_moves_an_engine_takes_all_crops_for_one(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, moves=True)
    engine = OnnxEngine(bundle, threads=1, max_batch=2)
    handles = engine.encode(np.random.default_rng(0).integers(0, 256, (5, 32, 24, 3), dtype=np.uint8))
    plain = engine.estimate([handles] * 3)[0]
    moves = no_moves(3, 5)
    np.testing.assert_array_equal(engine.estimate([handles] * 3, moves)[0], plain)
    moves[2, :, 2] = 4  # of the second chunk
    plain[2, :, 0] += 4
    np.testing.assert_allclose(engine.estimate([handles] * 3, moves)[0], plain, atol=1e-4)
