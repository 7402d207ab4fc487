# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Scores and ellipses are judged rightly: by draws whose reliability is known, and by a whole run on made-up people."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

from benchmarks.reliability import Joints, judge, main, summary
from sdtc_ros.errors import UsageError
from sdtc_ros.types import Pose

NAMES = ("nose", "left_shoulder", "right_hip", "left_ankle")


def test_scores_that_are_right_have_no_error_and_those_that_are_too_high_do() -> None:
    random = np.random.default_rng(0)
    score, normal = random.random(20000), random.standard_normal((20000, 2))
    found, distance = random.random(20000) < score, (normal**2).sum(axis=1)
    right = summary(Joints(score, found, distance))
    assert right.error < 0.02 and right.found == pytest.approx(right.score, abs=1)
    assert right.order == pytest.approx(5 / 6, abs=0.01)  # of uniform scores that are probabilities
    assert (right.one_sigma, right.two_sigma) == pytest.approx((0.393, 0.865), abs=0.01)
    boasting = summary(Joints(np.sqrt(score), found, distance / 4))
    assert boasting.error > 0.1 and boasting.order == pytest.approx(right.order)
    assert boasting.one_sigma == pytest.approx(right.two_sigma)


def test_the_bodys_labelled_joints_are_judged_by_the_torso() -> None:
    keypoints = np.array([[0, 0, 0.9], [10, 10, 0.8], [10, 50, 0.7], [19, 90, 0.6]], np.float32)
    covariance = np.tile(np.array([4, 0, 9], np.float32), (4, 1))
    pose = Pose(1, np.array([0, 0, 40, 100], np.float32), 1.0, keypoints, covariance, 0.7)
    truth = {"nose": [0.0, 0], "left_shoulder": [12.0, 10], "right_hip": [12.0, 50], "left_ankle": [10.0, 90]}
    joints = judge(pose, NAMES, truth, pose.box)
    assert joints.score.tolist() == pytest.approx([0.8, 0.7, 0.6])
    assert joints.found.tolist() == [True, True, False]  # 9 pixels from it, and a fifth of the torso is 8
    assert joints.distance.tolist() == pytest.approx([1, 1, 81 / 4])


def test_a_run_prints_each_set_and_draws_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_bundle(tmp_path / "bundle")
    (tmp_path / "people").mkdir()
    cv2.imwrite(str(tmp_path / "people" / "one.png"), np.full((120, 80, 3), 60, np.uint8))
    joints = {"left_shoulder": [30, 30, 2], "right_hip": [45, 60, 2], "left_ankle": [30, 110, 2]}
    person = {"file": "one.png", "box": [20, 10, 40, 110], "joints": joints}
    (tmp_path / "people" / "people.json").write_text(json.dumps({"people": [person, person]}))
    files = ["--plot", str(tmp_path / "curves.png"), "--json", str(tmp_path / "figures.json")]
    assert main([str(tmp_path / "bundle"), "--people", str(tmp_path / "people"), *files]) == 0
    assert "people" in capsys.readouterr().out
    assert json.loads((tmp_path / "figures.json").read_text())["all"]["joints"] == 6
    assert cv2.imread(str(tmp_path / "curves.png")) is not None
    assert main([str(tmp_path / "bundle")]) == UsageError.exit_status
