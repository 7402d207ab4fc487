# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benchmarks on the arithmetic bundle: what they count, that their ratios are those of their parts, bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import cameras, pipeline, streaming  # noqa: E402
from benchmarks.measure import clip_seconds  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402

QUICK = ["--frames", "4", "--rounds", "2", "--threads", "1", "--size", "160x120"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_bundle(tmp_path_factory.mktemp("bundle"))


def test_a_disturbed_round_does_not_count() -> None:
    """Each frame at its median over the rounds, frames added up."""
    seconds = np.array([[1.0, 2.0], [1.0, 90.0], [50.0, 2.0]])
    assert clip_seconds(seconds) == 3.0


def test_pipeline_figures(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ratio is that of the throughputs, and the bare calls are a part of the pipeline's work."""
    out = tmp_path / "figures.json"
    assert pipeline.main(["--model", str(bundle.folder), "--people", "3", *QUICK, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    (scene,) = figures["scenes"]
    assert figures["ratio"] == scene["ratio"] == pytest.approx(scene["pipeline"] / scene["bare"])
    assert 0 < figures["ratio"] < 1  # this network is nearly free, so the pipeline's own cost is most of it
    assert 1 <= scene["encodes"] <= 5
    assert (scene["people"], scene["size"], figures["model"]) == (3, [160, 120], "fake")
    assert set(scene["stages_ms"]) == {"track", "crop", "encode", "estimate"}
    assert all(value > 0 for value in scene["stages_ms"].values())
    assert figures["machine"]["cores"] >= 1
    assert {"python", "numpy", "onnxruntime"} <= set(figures["versions"])
    printed = capsys.readouterr().out
    assert "| 3 people, 160x120 |" in printed
    assert f"**{100 * figures['ratio']:.1f} %**" in printed


def test_streaming_figures(bundle: Bundle, tmp_path: Path) -> None:
    """Full windows encode 5 crops a person and keyframe, held crops one; the ratio is that of the throughputs."""
    out = tmp_path / "figures.json"
    assert streaming.main(["--model", str(bundle.folder), "--people", "2", *QUICK, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    ways = {way["way"]: way for way in figures["ways"]}
    assert (ways["crops held"]["encodes"], ways["full windows"]["encodes"]) == (1, 5)
    assert 1 <= ways["default"]["encodes"] <= 5
    full = ways["full windows"]["throughput"]
    assert figures["ratio"] == pytest.approx(ways["crops held"]["throughput"] / full)
    assert figures["ratio_default"] == pytest.approx(ways["default"]["throughput"] / full)
    assert full > 0
    assert figures["ratio"] > 0


def test_cameras_figures(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every combination once, the ratio that of its throughputs; one camera together is one camera."""
    out = tmp_path / "figures.json"
    assert cameras.main(["--model", str(bundle.folder), "--people", "2", *QUICK, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    assert [(one["cameras"], one["people"]) for one in figures["results"]] == [(1, 2), (2, 2), (4, 2)]
    for one in figures["results"]:
        assert one["ratio"] == pytest.approx(one["together"] / one["apart"])
        assert one["together"] > 0
    assert figures["ratio"] == figures["results"][-1]["ratio"]
    assert "| 4 x 2 |" in capsys.readouterr().out


def test_wrong_arguments_are_one_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    """All benchmarks share the checks."""
    for words, status, sentence in (
        (["--model", "nowhere"], 4, "model bundle 'nowhere' is not a folder"),
        (["--people", "0"], 2, "--people must be >= 1, got 0"),
        (["--json", "nowhere/out.json"], 2, "--json nowhere/out.json: no such folder: nowhere"),
        (["--clock", "cpu"], 2, "--clock cpu adds up the time of all threads, so it needs --threads 1"),
    ):
        assert pipeline.main(words) == status
        error = capsys.readouterr().err
        assert error.startswith(f"error: {sentence}") and error.count("\n") == 1
