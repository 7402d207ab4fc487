# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benchmark of precisions on the arithmetic bundle: what it prints and writes, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from fake_bundle import make_bundle

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from benchmarks import precision  # noqa: E402
from export import precisions  # noqa: E402
from sdtc_ros.engine.accuracy_check import Deviation  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402

pytestmark = pytest.mark.slow

QUICK = ["--frames", "3", "--rounds", "2", "--threads", "1", "--size", "160x120", "--people", "2", "--windows", "2"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = make_bundle(tmp_path_factory.mktemp("bundle")).folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precisions, "measure_deviation", lambda *_, **__: Deviation.none())
        return precisions.add_precisions(folder, ["fp16"])[0]


def test_figures(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A row a precision; ratios are those of the throughputs; no INT8, no figure of it."""
    out = tmp_path / "figures.json"
    assert precision.main(["--model", str(bundle.folder), *QUICK, "--json", str(out)]) == 0
    figures = json.loads(out.read_text())
    full, half = figures["precisions"]
    assert (full["precision"], half["precision"]) == ("fp32", "fp16")
    assert figures["ratio"] is None
    assert figures["ratios"] == {"fp32": 1.0, "fp16": pytest.approx(half["throughput"] / full["throughput"])}
    assert (half["deviation"]["joints"], half["deviation"]["undecided"]) == (30, 0)
    assert 0 < half["deviation"]["p50"] < 0.5
    assert full["deviation"]["max"] == 0
    assert half["megabytes"] * 1e6 == sum((bundle.folder / name).stat().st_size for name in bundle.files_of("fp16"))
    assert {"machine", "versions", "threads", "clock", "people"} <= set(figures)
    assert capsys.readouterr().out.count("| fp") == 2


def test_every_precision_s_speed_is_its_own(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only the FP16 engine drives forwards quickly, FP16 is the slower one."""
    now = [0.0]
    estimate = precision.OnnxEngine.estimate

    def timed_estimate(engine: precision.OnnxEngine, windows: list, moves: object = None) -> object:
        now[0] += 3.0 if "16" in engine._encoder.get_outputs()[0].type else 1.0
        return estimate(engine, windows, moves)

    monkeypatch.setattr(precision.OnnxEngine, "estimate", timed_estimate)
    clip = precision.walking_people(2, (160, 120), 8)
    full, half = precision.measure(bundle, clip, 2, lambda: now[0], 1, windows=1)
    assert full.throughput == pytest.approx(2.0)
    assert half.ratio == pytest.approx(1 / 3)


def test_a_bundle_of_fp32_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_bundle(tmp_path / "plain").folder
    assert precision.main(["--model", str(folder), *QUICK]) == 2
    assert f"has FP32 graphs only; `python -m export add {folder}" in capsys.readouterr().err
