# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""docs/messages.md: its examples that need no ROS run as they stand, and its tables say what is so."""

import re
import subprocess
import sys

import numpy as np
import pytest
from documents import DOCS, code_of

from sdtc_ros.io.bag import BagWriter
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose
from training.decode import decode_heatmaps, encode_heatmaps

PAGE = "messages.md"


def run(code: str, folder) -> str:
    """What the code prints, run by itself in that folder."""
    path = [str(DOCS.parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{code}"], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.slow
def test_arrays_and_back(tmp_path):
    assert run(code_of(PAGE, "python", "message_from_poses(poses)"), tmp_path) == "150.0\n"


@pytest.mark.slow
def test_from_a_bag(tmp_path):
    keypoints = np.full((15, 3), 12.25, np.float32)
    pose = Pose(7, np.ones(4, np.float32), 0.9, keypoints, np.ones((15, 3), np.float32), 0.5)
    (tmp_path / "out").mkdir()
    with BagWriter(tmp_path / "out" / "poses_bag") as bag:
        bag.write_poses(FramePoses(Frame(np.zeros((4, 4, 3), np.uint8), 5), [pose]), POSETRACK)
    printed = run(code_of(PAGE, "python", "read_poses"), tmp_path)
    assert printed == f"5 [7] {[[[12.25, 12.25]] * 15]}\n"


def test_the_order_of_joints():
    text = (DOCS / PAGE).read_text(encoding="utf-8")
    listed = re.findall(r"\| (\d+) `(\w+)` (?=\|)", text.replace(" | ", " | | "))
    assert [(int(number), name) for number, name in listed] == list(enumerate(POSETRACK.joints))


def test_a_sure_joints_covariance_is_what_the_page_says():
    """0.6 of the targets' variance, in the middle of a heatmap: 38 pixels squared for a person 200 pixels high."""
    crop = (192, 256)
    heatmaps = encode_heatmaps(np.array([[[96.0, 128.0]]], np.float32), crop, (48, 64))
    covariance = decode_heatmaps(heatmaps, crop)[1][0, 0]
    cell = 255 / 63
    assert abs(covariance[0] / (2 * cell) ** 2 - 0.6) < 0.02
    assert abs(covariance[2] * (200 * 1.25 / 255) ** 2 - 38) < 1
