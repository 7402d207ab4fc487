# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""AP in validation: windows' keypoints return to their frames, where they are counted as poseval counts."""

from __future__ import annotations

import clip_folders as made
import numpy as np
import pytest
import torch

from sdtc_ros.skeleton import POSETRACK
from training.data.demo_clip import DemoValidation, split_clip
from training.data.posetrack import PoseTrackConfig, PoseTrackData
from training.decode import encode_heatmaps
from training.validation import Validation

SIZE, CELLS = (48, 64), (12, 16)


def measure(windows, truth, off: dict[int, float] | None = None, scores: dict[int, float] | None = None):
    """Figures of predictions that are right but for samples `off` by so many head sizes, or of other scores."""
    validation = Validation()
    for sample in windows:
        keyframe = sample["points"][len(sample["points"]) // 2].copy()
        keyframe[:, 0] += (off or {}).get(int(sample["sample"]), 0) * sample["head_size"]
        maps = encode_heatmaps(keyframe[None], SIZE, CELLS) * (scores or {}).get(int(sample["sample"]), 1.0)
        batch = {name: torch.from_numpy(np.asarray(value))[None] for name, value in sample.items()}
        validation.add(batch, torch.from_numpy(maps), SIZE[::-1])
    return validation.figures(POSETRACK, truth)


@pytest.fixture(scope="module")
def synthetic():
    return DemoValidation(split_clip("", 24)[1], SIZE, 1)


def test_keypoints_return_to_their_people(synthetic):
    truth = synthetic.truth
    points = np.stack([w["points"][1] @ w["to_image"][:, :2].T + w["to_image"][:, 2] for w in synthetic.windows])
    samples = np.arange(len(points))
    predictions = truth.predictions(samples, np.concatenate([points, np.ones((*points.shape[:2], 1))], axis=-1))
    found = 0
    for sequence, predicted in zip(truth.sequences, predictions, strict=True):
        for frame, answer in zip(sequence.frames, predicted.frames, strict=True):
            for person in answer.people:
                off = [np.abs(person.keypoints - p.keypoints)[p.annotated, :2].max() for p in frame.people]
                found += min(off) < 0.01
    assert found == len(samples) >= 8


def test_right_predictions_have_a_high_precision_and_wrong_ones_do_not(synthetic):
    right = measure(synthetic.windows, synthetic.truth)
    assert right["pckh_all"] == 100
    assert right["ap_total"] > 90  # joints that the crop or the image cuts off are false
    half = measure(synthetic.windows, synthetic.truth, dict.fromkeys(range(0, len(synthetic), 2), 3.0))
    assert half["ap_total"] < 0.75 * right["ap_total"]
    assert set(right) == set(half) >= {"ap_head", "ap_ankle", "pckh_occluded"}
    assert "ap_mean" not in right


def test_scores_order_the_curve(synthetic):
    """The wrong ones cost less where they are unsure."""
    wrong = dict.fromkeys(range(0, len(synthetic), 2), 3.0)
    sure = measure(synthetic.windows, synthetic.truth, wrong)
    unsure = measure(synthetic.windows, synthetic.truth, wrong, dict.fromkeys(wrong, 0.3))
    assert unsure["ap_total"] > sure["ap_total"] + 5


def test_what_a_process_saw_twice_counts_once(synthetic):
    windows = list(synthetic.windows)
    assert measure([*windows, *windows[:3]], synthetic.truth, {0: 3.0}) == measure(windows, synthetic.truth, {0: 3.0})


def test_real_layouts_have_their_whole_frames_for_truth(tmp_path):
    made.posetrack18(tmp_path, "val", "b")
    data = PoseTrackData(PoseTrackConfig(str(tmp_path), size=SIZE, delta=1, workers=0))
    data.setup("validate")
    windows = [data.val_set[i] for i in range(len(data.val_set))]
    truth = data.validation_truth()
    figures = measure(windows, truth)
    assert figures["ap_total"] > 95
    listed = sum(len(f.people) for s in truth.sequences for f in s.frames)
    fewer = measure(windows[:-2], truth)
    assert fewer["ap_total"] <= figures["ap_total"] * (listed - 2) / listed + 1
