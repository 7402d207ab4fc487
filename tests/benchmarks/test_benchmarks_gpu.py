# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The benchmark of a GPU's engines, on the CPU: only the device's name differs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # benchmarks/ is no part of the installed package

from counting_runtime import CountingRuntime  # noqa: E402
from fake_bundle import make_bundle  # noqa: E402

from benchmarks import gpu  # noqa: E402
from benchmarks.accelerator import peak, rows  # noqa: E402
from benchmarks.accelerator.rows import Result  # noqa: E402
from benchmarks.accelerator.torch_engine import TorchEngine  # noqa: E402
from benchmarks.models import network_config  # noqa: E402
from export.graphs import EncoderGraph, TemporalGraph  # noqa: E402
from sdtc_ros.engine.device import DeviceEngine  # noqa: E402
from sdtc_ros.models.bundle import Bundle  # noqa: E402
from training.models.sdtc import SDTC  # noqa: E402

pytestmark = pytest.mark.slow

QUICK = ["--device", "cpu", "--networks", "sdtc-tiny", "--batches", "1", "2", "--repeats", "2", "--size", "160x120"]


@pytest.fixture(autouse=True)
def small_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(peak.PRODUCTS, "cpu", ((64, 128), ("float32",)))


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bundle:
    """The rows of ONNX Runtime on a small bundle: exporting the tiny network takes half a minute."""
    bundle = make_bundle(tmp_path / "fake", size=(96, 128))
    monkeypatch.setattr(rows, "random_bundle", lambda name: bundle)
    return bundle


@pytest.mark.usefixtures("no_export")
def test_all_of_it_on_the_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both engines, all parts, both batches; the shares are those of the seconds; a row that cannot be had is said."""
    out, plot = tmp_path / "out.json", tmp_path / "out.png"
    words = ["--engines", "torch-fp32", "cpu-fp32", "cuda-fp32", "magic-fp16", "--threads", "1"]
    assert gpu.main([*QUICK, *words, "--json", str(out), "--plot", str(plot)]) == 0
    figures = json.loads(out.read_text())
    results = [Result(**one) for one in figures["results"]]
    assert len(results) == 2 * 3 * 2
    macs = rows.multiply_adds("sdtc-tiny")
    for one in results:
        assert one.share == pytest.approx(2 * one.batch * macs[one.part] / one.seconds / figures["peak"]["flops"])
    encoder = [one for one in results if one.part == "encoder" and one.batch == 2]
    assert figures["ratio"] == max(one.share for one in encoder)
    assert figures["ratio_batch"] == 2
    assert set(figures["not_measured"]) == {"sdtc-tiny cuda-fp32", "sdtc-tiny magic-fp16"}
    assert plot.stat().st_size > 10_000
    printed = capsys.readouterr().out
    assert "sdtc-tiny, magic-fp16: not measured: unknown provider 'magic'" in printed
    assert "| sdtc-tiny, pipeline: ms (share of peak) | batch 1 | batch 2 |" in printed
    assert "fastest matrix product: " in printed


def test_an_engine_of_its_own_device_gets_every_frame_once(
    no_export: Bundle, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The encoder's frame lies on the device before it is timed; a pipeline's frames are new ones, each uploaded."""
    runtime = CountingRuntime(no_export)
    monkeypatch.setattr(rows, "_open", lambda *_: DeviceEngine(no_export, runtime))
    words = ["--engines", "cuda-fp16", "--batches", "2"]
    assert gpu.main([*QUICK, *words, "--parts", "encoder"]) == 0
    assert len(runtime.uploads) == 1
    assert runtime.runs[:2] == [("cut", 2), ("encoder", 2)]
    assert gpu.main([*QUICK, *words, "--parts", "pipeline"]) == 0
    assert len(runtime.uploads) == 1 + 5 + peak.WARM_UP + 2  # the first window's, those before the clock runs, two
    assert "| cuda-fp16 |" in capsys.readouterr().out


def test_torch_runs_what_is_exported() -> None:
    """The rows measure the network that the graphs are traced from, also padded to a compiled network's batch."""
    torch.manual_seed(0)
    network = SDTC(network_config("sdtc-tiny")).eval()
    crops = np.random.default_rng(0).integers(0, 256, (3, 128, 96, 3), np.uint8)
    with torch.no_grad():
        (tokens,) = EncoderGraph(network)(torch.from_numpy(crops))
        keypoints, covariance, _ = TemporalGraph(network)(torch.stack([tokens] * 5, dim=1))
    engine = TorchEngine(network, "cpu", "fp32", compiled=False)
    for engine._compiled in (False, True):  # without the compiler, which takes minutes
        handles = engine.encode(engine.place(crops))
        assert len(handles) == 3
        np.testing.assert_allclose(torch.stack(handles), tokens, atol=1e-4)
        found = engine.estimate([[handle] * 5 for handle in handles])
        assert found[0].shape == found[1].shape == (3, 15, 3)
        np.testing.assert_allclose(found[0][..., 2], keypoints[..., 2], atol=1e-4)
        np.testing.assert_allclose(np.median(found[1] / covariance.numpy()), 1, atol=1e-3)


def test_headline() -> None:
    """The best share of the encoder of the last network, at 32 people or more, else at the most there were."""

    def result(network: str, engine: str, batch: int, share: float, part: str = "encoder") -> Result:
        return Result(network, engine, part, batch, 1.0, share)

    results = [
        result("s", "a", 32, 0.9), result("b", "a", 8, 0.8), result("b", "a", 32, 0.4), result("b", "c", 128, 0.6),
        result("b", "a", 128, 0.7, "pipeline"),
    ]  # fmt: skip
    assert gpu.headline(results) == {
        "ratio": 0.6, "ratio_network": "b", "ratio_part": "encoder", "ratio_engine": "c", "ratio_batch": 128,
    }  # fmt: skip
    assert gpu.headline(results[1:2])["ratio"] == 0.8
