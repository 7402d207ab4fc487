# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benches of accuracy: what a perfect answer scores, what detectors see, the rule of the default, whole runs."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import sweep  # noqa: E402
from benchmarks.accuracy import (  # noqa: E402
    Figures,
    Scene,
    detected,
    find_scenes,
    measure,
    predictions,
)
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from sdtc_ros.types import FramePoses, Pose  # noqa: E402


@pytest.fixture(scope="module")
def scene() -> Scene:
    return find_scenes(None, 5, 8)[4]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def true_answers(scene: Scene, off: float) -> list[FramePoses]:
    """The annotated joints as a pipeline's answer, moved by `off` head box diagonals."""
    answers = []
    for frame, truth in zip(scene.frames, scene.truth.frames, strict=True):
        poses = []
        for person in truth.people:
            moved = person.keypoints[:, :2] + [off * np.hypot(*person.head_box[2:]), 0]
            keypoints = np.where(person.annotated[:, None], np.column_stack([moved, np.ones(15)]), 0)
            poses.append(Pose(person.track_id, np.zeros(4), 1.0, keypoints.astype(np.float32), np.zeros((15, 3)), 1.0))
        answers.append(FramePoses(frame, poses))
    return answers


def test_the_truth_scores_full_and_beside_it_nothing(scene: Scene) -> None:
    """Within 0.3 diagonals of the head box is found, beyond is not."""
    full = measure([scene.truth], [predictions(scene, true_answers(scene, 0.25))])
    assert (full.pckh, full.wrists, full.ankles, full.occluded) == (100, 100, 100, 100)
    beside = measure([scene.truth], [predictions(scene, true_answers(scene, 0.35))])
    assert beside.pckh < 5  # a neighbour's joint may lie there
    nothing = measure([scene.truth], [predictions(scene, true_answers(scene, 99))])
    assert (nothing.ap, nothing.pckh) == (0, 0)


def test_who_is_hidden_is_never_detected_and_others_are_missed_now_and_then(scene: Scene) -> None:
    """The draws differ; one person is occluded whole and never seen, the others are in all but a few of the draws."""
    frame = scene.truth.frames[0]
    occluded, *others = frame.people
    flags = {**occluded.flags, "occluded": np.ones_like(occluded.flags["occluded"])}
    seen = [replace(one, flags={**one.flags, "occluded": np.zeros_like(one.flags["occluded"])}) for one in others]
    truth = replace(scene.truth, frames=[replace(frame, people=[replace(occluded, flags=flags), *seen])])
    changed = replace(scene, truth=truth)
    found = [detected(changed, 0, draw) for draw in range(200)]
    assert max(len(boxes) for boxes in found) == len(others) > 0
    assert 0.9 * len(others) < np.mean([len(boxes) for boxes in found]) < 0.99 * len(others)
    assert not np.array_equal(found[0].xywh, found[1].xywh)


@pytest.mark.parametrize(
    ("losses", "errors", "expected"),
    [
        ((0.0, 0.1, 0.89, 1.5), (0.0, 0.1, 0.1, 0.1), 0.1),  # one point with the error
        ((0.0, 0.1, 0.89, 1.5), (0.0, 0.1, 0.2, 0.1), 0.05),  # who knows less is allowed less
        ((0.0, 0.1, 0.2, 0.3), (math.nan, math.nan, math.nan, math.nan), 0.0),  # one clip knows nothing
        ((0.0, 1.5, 0.0, 0.0), (0.0, 0.1, 0.1, 0.1), 0.0),  # nothing beyond the first that loses
        ((0.0, -0.5, -0.1, 0.2), (0.0, 0.1, 0.1, 0.1), math.inf),
    ],
)
def test_the_rule_of_the_default(losses: tuple[float, ...], errors: tuple[float, ...], expected: float) -> None:
    none = Figures(0, 0, 0, 0, 0, 0)
    rows = [
        sweep.Row(sweep.JITTERED, threshold, 1, 1, 1, none, loss, error)
        for threshold, loss, error in zip((0.0, 0.05, 0.1, math.inf), losses, errors, strict=True)
    ]
    rows += [sweep.Row(sweep.ANNOTATED, 0.05, 1, 1, 1, none, 99.0, 0.0)]  # annotated boxes are told, not asked
    assert sweep.chosen(rows) == expected


@pytest.mark.slow
def test_crops_that_are_held(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Full windows at 0, a crop a person and frame where crops never move; the ratio is the default's loss."""
    monkeypatch.setitem(sweep.VALUES, "crop_drift_threshold", (0.0, 0.05, 0.1, math.inf))
    out, picture = tmp_path / "figures.json", tmp_path / "curve.png"
    scenes = ["--clips", "2", "--frames", "9"]
    arguments = ["crop_drift_threshold", "--model", str(bundle.folder), *scenes]
    assert sweep.main([*arguments, "--json", str(out), "--plot", str(picture)]) == 0
    figures = json.loads(out.read_text())
    rows = {(row["boxes"], row["value"]): row for row in figures["rows"]}
    assert len(rows) == 8
    for kind in ("annotated", "jittered"):
        encodes = [row["encodes"] for (boxes, _), row in rows.items() if boxes == kind]
        assert encodes == sorted(encodes, reverse=True)
        assert encodes[0] > 3 and rows[kind, "never"]["encodes"] < 1.5
        assert (rows[kind, "0"]["loss"], rows[kind, "0"]["ratio"]) == (0, 1)
    assert rows["jittered", "0.05"]["encodes"] > 1.05 * rows["annotated", "0.05"]["encodes"]  # edges that tremble
    assert figures["ratio"] == -rows["annotated", "0.1"]["loss"]
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_detector_in_every_kth_frame(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The detector is asked in every k-th frame, once a draw."""
    monkeypatch.setitem(sweep.VALUES, "detect_every", (1, 5))
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        sweep, "detected", lambda scene, n, draw=0: (asked.append((draw, n)), detected(scene, n, draw))[1]
    )
    out = tmp_path / "figures.json"
    arguments = ["detect_every", "--model", str(bundle.folder), "--clips", "1", "--frames", "11"]
    assert sweep.main([*arguments, "--json", str(out)]) == 0
    assert sorted(asked) == sorted((draw, n) for draw in (0, 1) for n in [*range(11), 0, 5, 10])
    rows = {row["value"]: row for row in json.loads(out.read_text())["rows"]}
    assert set(rows) == {"1", "5"} and rows["1"]["loss"] == 0
