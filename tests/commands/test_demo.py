# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The demo: a clip becomes a bag and its truth, both are replayed, and an earlier demo's folder may be used again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.commands.demo import FRAME_ID, START, TOPIC, write_demo_input
from sdtc_ros.demo import Clip, demo_clip
from sdtc_ros.demo.clip import read_clip
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.io.sources import open_source

pytestmark = pytest.mark.slow

FRAMES, SIZE = 8, (96, 128)


def make_clip(frames: int = FRAMES) -> Clip:
    """Two white rectangles for people, the second one gone after the third frame and partly outside the image."""
    boxes = np.zeros((frames, 2, 4))
    boxes[:, 0] = np.stack([10 + 4 * np.arange(frames), *(np.full(frames, v) for v in (8, 30, 60))], axis=1)
    boxes[:, 1] = (100, 40, 40, 50)
    images = []
    for number in range(frames):
        image = np.full((*SIZE, 3), 40, np.uint8)
        x, y, w, h = boxes[number, 0].astype(int)
        image[y : y + h, x : x + w] = 255
        images.append(image)
    spots = np.linspace(0.1, 0.9, 15)[:, None]
    present = np.ones((frames, 2), bool)
    present[3:, 1] = False
    visible = np.ones((frames, 2, 15), bool)
    visible[0, 0, 4] = False
    return Clip(
        frames=images, boxes=boxes, head_boxes=boxes / 4 + 1, present=present, visible=visible, fps=20.0,
        keypoints=boxes[:, :, None, :2] + spots * boxes[:, :, None, 2:], blurred=np.zeros((frames, 2, 15)),
        track_ids=np.array([3, 8]),
    )  # fmt: skip


def test_bag_and_truth_belong_together(tmp_path):
    bag, truth = write_demo_input(tmp_path / "in", make_clip())
    source, sequence = open_source(bag), read_sequence(truth)
    assert source.what.endswith(TOPIC)
    frames = [frame for _, frame in source.frames]
    assert [frame.stamp for frame in frames] == [START + i * 50_000_000 for i in range(FRAMES)]
    assert {frame.frame_id for frame in frames} == {FRAME_ID}
    for frame, annotated in zip(frames, sequence.frames, strict=True):
        x, y, w, h = annotated.people[0].box.astype(int)
        assert frame.image[y + 3 : y + h - 3, x + 3 : x + w - 3].min() > 200
        assert frame.image[:, : x - 3].max() < 90


def test_truth_knows_who_is_there_and_which_joints_can_be_seen(tmp_path):
    sequence = read_sequence(write_demo_input(tmp_path / "in", make_clip())[1])
    assert [[person.track_id for person in frame.people] for frame in sequence.frames] == [[3, 8]] * 3 + [[3]] * 5
    first, second = sequence.frames[0].people
    assert np.flatnonzero(first.flags["occluded"]).tolist() == [4]
    x = 100 + 40 * np.linspace(0.1, 0.9, 15)
    assert second.annotated.tolist() == (x <= SIZE[1] - 1).tolist()


@pytest.fixture
def drawn(monkeypatch):
    """The clip that ships replaced by the one above; returns the numbers of frames asked for."""
    asked = []
    monkeypatch.setattr("sdtc_ros.demo.demo_clip", lambda frames: asked.append(frames) or make_clip(frames or FRAMES))
    return asked


def demo(out: Path, model: Path, *arguments: object) -> int:
    return main(["demo", *map(str, ("--out", out, "--model", model, "--threads", 1, "--boxes", "truth", *arguments))])


def test_demo_tells_accuracy_and_report(tmp_path, drawn, capsys):
    model, out = make_bundle(tmp_path / "model").folder, tmp_path / "out"
    assert demo(out, model, "--frames", FRAMES) == 0
    said = capsys.readouterr().out
    assert drawn == [FRAMES]
    assert "8 frames, 11 poses of 2 tracks" in said
    assert f"with ground-truth boxes; open {out / 'report.html'}" in said
    assert (out / "evaluation.json").exists()


def test_people_are_found_unless_the_truth_is_asked_for(tmp_path, drawn, capsys):
    model, out = make_bundle(tmp_path / "model").folder, tmp_path / "out"
    assert main(["demo", "--out", str(out), "--model", str(model), "--threads", "1", "--frames", "2"]) == 0
    assert "boxes: person detector at 416 px" in capsys.readouterr().out


def test_a_demo_may_be_repeated_but_replaces_no_other_results(tmp_path, drawn, capsys):
    model, out = make_bundle(tmp_path / "model").folder, tmp_path / "out"
    assert demo(out, model, "--frames", 4) == demo(out, model, "--frames", 3) == 0
    assert len(read_sequence(out / "posetrack" / "demo.json").frames) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "report.html").write_text("mine")
    assert demo(tmp_path / "mine", model) == 2
    assert "mine holds results that are not from a demo; choose another folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--boxes", "nix.onnx"], 4, "detector 'nix.onnx' does not exist"),
        (["--boxes", "nix.json"], 2, "detector 'nix.json' is not 'person'"),
        (["--lookahead", 9], 2, "lookahead must be between 0 and 2"),
    ],
)
def test_options_that_cannot_be_are_refused_before_anything_is_drawn(
    tmp_path, drawn, capsys, arguments, status, sentence
):
    model, out = make_bundle(tmp_path / "model").folder, tmp_path / "out"
    assert demo(out, model, *arguments) == status
    assert sentence in capsys.readouterr().err
    assert not out.exists()
    assert not drawn


def test_the_clip_that_ships_has_people_who_cross_and_their_truth():
    clip = demo_clip()
    assert len(clip.frames) == 100
    assert clip.frames[0].shape == (480, 640, 3)
    assert clip.keypoints.shape == (100, len(clip.track_ids), 15, 2)
    assert 4 <= len(clip.track_ids) <= 6
    inside = np.all((clip.keypoints >= 0) & (clip.keypoints <= (639, 479)), axis=-1)
    assert clip.visible[inside].mean() > 0.5
    assert not clip.visible[~inside].any()
    assert (inside & ~clip.visible).sum() > 100  # somebody is occluded at times
    assert len(demo_clip(7).frames) == 7


def test_a_damaged_clip_is_refused(tmp_path):
    (tmp_path / "clip.npz").write_bytes(b"PK nothing")
    with pytest.raises(InputError, match="clip.npz is not a readable demo clip"):
        read_clip(tmp_path / "clip.npz")
