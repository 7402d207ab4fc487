# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benchmark beside MediaPipe: the same clip to both, PCKh by hand, a stand-in where MediaPipe is not installed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import peer  # noqa: E402
from benchmarks.beside import accuracy, clips  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402

pytestmark = pytest.mark.slow

FAKE_MEDIAPIPE = """
__version__ = "0.0-fake"
"""
FAKE_POSE = '''
"""Finds everybody in the middle of the picture, and nobody in the first picture that it sees."""
from types import SimpleNamespace


class Pose:
    def __init__(self, static_image_mode, model_complexity):
        self.seen = 0
        print("Downloading model to nowhere", flush=True)

    def process(self, picture):
        assert picture.ndim == 3 and picture.flags["C_CONTIGUOUS"]
        self.seen += 1
        points = [SimpleNamespace(x=0.5, y=0.5) for _ in range(33)]
        return SimpleNamespace(pose_landmarks=SimpleNamespace(landmark=points) if self.seen > 1 else None)

    def close(self):
        pass
'''


def truth(points: np.ndarray, visible: bool = True) -> clips.Truth:
    return clips.Truth(points, np.full(points.shape[:3], visible), np.full(points.shape[:2], 6.0))


def test_pckh_by_hand() -> None:
    """Within half a head is right, silence and unannotated joints: the first is wrong, the others do not count."""
    boxes = np.zeros((2, 1, 4))
    boxes[1] = np.nan  # not there: asked of nobody
    true = np.zeros((2, 1, 13, 2))
    true[0, 0, 3:] = np.nan
    points = np.zeros((2, 1, 13, 2))
    points[0, 0, 1, 0], points[0, 0, 2, 0] = 5.9, 6.1
    found = accuracy.measure(points, boxes, truth(true))
    assert (found.found, found.visible) == (100.0, pytest.approx(200 / 3))
    assert np.isnan(found.occluded)
    silent = accuracy.measure(np.full_like(points, np.nan), boxes, truth(true, visible=False))
    assert (silent.found, silent.occluded) == (0.0, 0.0)
    assert np.isnan(silent.visible)


@pytest.fixture
def mediapipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for the package, found by the workers that are started."""
    folder = tmp_path / "site" / "mediapipe" / "python" / "solutions"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    (folder.parents[1] / "__init__.py").write_text(FAKE_MEDIAPIPE)
    (folder / "pose.py").write_text(FAKE_POSE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Small synthetic clips, no real ones, no core taken from the other tests."""
    monkeypatch.setattr(peer, "PHOTO", tmp_path)
    monkeypatch.setattr(peer, "VIDEO", tmp_path / "none.avi")
    monkeypatch.setattr(peer.clips, "MIN_FRAMES", 3)
    monkeypatch.setattr(peer.os, "sched_setaffinity", lambda *_: None)
    bundle = make_bundle(tmp_path / "bundle").folder
    return ["--model", str(bundle), "--frames", "8", "--rounds", "2", "--json", str(tmp_path / "out.json"),
            "--video", str(tmp_path / "none.avi")]  # fmt: skip


@pytest.mark.usefixtures("mediapipe")
def test_both_play_every_clip(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert peer.main(arguments) == 0
    figures = json.loads((tmp_path / "out.json").read_text())
    rows = {(row["clip"], row["contender"], row["mode"]): row for row in figures["results"]}
    assert {key[1:] for key in rows if key[0] == "synthetic, 5 people"} == {
        ("ours", "boxes"), ("mediapipe", "tracking"), ("mediapipe", "still"),
    }  # fmt: skip
    assert {key[1:] for key in rows if key[0] == "synthetic, one person"} >= {
        ("ours", "detector"),
        ("mediapipe", "whole"),
    }
    ours = rows["synthetic, 5 people", "ours", "boxes"]
    theirs = rows["synthetic, 5 people", "mediapipe", "tracking"]
    assert figures["ratio"] == pytest.approx(ours["throughput"] / theirs["throughput"])
    assert ours["accuracy"]["found"] == 100
    assert theirs["accuracy"]["found"] == 100 * 7 / 8  # a tracker a person, each of which is silent once
    assert 0 < theirs["megabytes"] < 2000
    printed = capsys.readouterr().out
    assert "MediaPipe 0.0-fake" in printed
    assert "| mediapipe, still |" in printed


def test_without_mediapipe_one_sentence_and_ours(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mediapipe.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert peer.main(arguments) == 0
    assert json.loads((tmp_path / "out.json").read_text())["ratio"] is None
    captured = capsys.readouterr()
    assert captured.err.startswith(f"MediaPipe is not installed for {sys.executable}, so only ours is measured: ")
    assert captured.err.count("\n") == 1
    assert "| ours, boxes |" in captured.out
    assert "| mediapipe" not in captured.out


def test_a_worker_that_dies_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer.os, "sched_setaffinity", lambda *_: None)  # it would hold for all tests after this
    contender = peer.Contender("ours", sys.executable, {"bundle": "nowhere", "threads": 1}, tmp_path)
    with pytest.raises(UsageError, match="the process of ours ended; its last words: .*nowhere"):
        contender.play(tmp_path / "clip.npz", "boxes")
    contender.close()
