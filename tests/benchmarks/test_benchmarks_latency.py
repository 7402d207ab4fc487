# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benchmark of latency: both ways of waiting at every rate, through the node's own worker."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import latency  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("clock", ["wall", "cpu"])
def test_both_ways_at_every_rate(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    monkeypatch.setattr(latency, "WARM", 0.0)
    make_bundle(tmp_path / "bundle", size=(96, 128))
    video = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (96, 72))
    for number in range(4):
        video.write(np.full((72, 96, 3), 40 * number, np.uint8))
    video.release()
    words = [str(tmp_path / "clip.avi"), "--bundle", str(tmp_path / "bundle"), "--hz", "20", "10", "--seconds", "1"]
    assert latency.main([*words, "--clock", clock, "--threads", "1", "--json", str(tmp_path / "out.json")]) == 0
    written = json.loads((tmp_path / "out.json").read_text())
    assert [(one["hz"], one["way"]) for one in written["results"]] == [
        (10, "in frames"), (10, "in time"), (20, "in frames"), (20, "in time"),
    ]  # fmt: skip
    assert all(0 < one["p50"] <= one["p99"] for one in written["results"])
    assert all(one["answered_hz"] <= one["hz"] for one in written["results"])
    assert written["ratio"] == pytest.approx(written["results"][3]["p50"] / written["results"][2]["p50"])
    assert "| 20 | in time |" in capsys.readouterr().out


def test_what_is_no_video_is_a_sentence(tmp_path: Path, capsys) -> None:
    (tmp_path / "notes.avi").write_text("hello")
    make_bundle(tmp_path / "bundle", size=(96, 128))
    assert latency.main([str(tmp_path / "notes.avi"), "--bundle", str(tmp_path / "bundle")]) == 3
    assert "is not a video that OpenCV can read" in capsys.readouterr().err
