# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which engine runs: the one asked for if its keypoints hold, the next safer one if not, the CPU if that is allowed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
from fake_bundle import make_bundle
from onnx import numpy_helper

from sdtc_ros import host as machine
from sdtc_ros.engine import select as choose
from sdtc_ros.engine.accuracy_check import GATE, Deviation, measure_deviation
from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.ort import device as onnx_device
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.engine.select import EngineConfig, open_engine
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import Bundle, save_manifest


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without one, whatever this is; and judged by fewer windows, which take long to draw."""

    def none() -> list[Any]:
        raise UsageError("no GPU can be used: there is none")

    monkeypatch.setattr(choose, "gpus", none)
    monkeypatch.setattr(choose, "measure_deviation", partial(measure_deviation, windows=3))


def with_precision(folder: Path, name: str, shift: float) -> Bundle:
    """The fake bundle with graphs of another precision, whose keypoints are off by the factor 1 + shift."""
    make_bundle(folder)
    model = onnx.load(folder / "temporal.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "scale":
            values = numpy_helper.to_array(tensor) * np.float32(1 + shift)
            tensor.CopyFrom(numpy_helper.from_array(values, "scale"))
    onnx.save(model, folder / f"temporal.{name}.onnx")
    (folder / f"encoder.{name}.onnx").write_bytes((folder / "encoder.onnx").read_bytes())
    entry = {"encoder": f"encoder.{name}.onnx", "temporal": f"temporal.{name}.onnx", "drift": {}}
    return save_manifest(folder, json.loads((folder / "model.json").read_text()), {name: entry})


def scale_of(engine: Any) -> float:
    """The factor of an engine's keypoints on a grey crop of 100."""
    handle = engine.encode(np.full((1, 32, 24, 3), 100, np.uint8))[0]
    return float(engine.estimate([[handle] * 5])[0][0, 0, 0]) / 100


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., tuple[Any, list[str]]]:
    """Opens an engine with a cache of the test's own; the engine and what was said."""

    def call(bundle: Bundle, *config: Any) -> tuple[Any, list[str]]:
        said: list[str] = []
        return open_engine(bundle, EngineConfig(*config), report=said.append, cache=Cache(tmp_path / "cache")), said

    return call


def test_the_default_is_the_reference_and_needs_no_comparison(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "measure_deviation", None)
    bundle = with_precision(tmp_path / "b", "int8", 0.5)
    engine, said = opened(bundle)
    assert isinstance(engine, OnnxEngine) and scale_of(engine) == pytest.approx(1.0) and not said
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_a_precision_that_holds_is_used_and_judged_once(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict is kept for this bundle; another one is judged anew."""
    bundle = with_precision(tmp_path / "b", "int8", 1e-4)
    engine, said = opened(bundle, "cpu", "int8")
    assert scale_of(engine) == pytest.approx(1.0001, rel=1e-6) and not said

    def judged_again(*_: Any, **__: Any) -> None:
        raise RuntimeError("judged again")

    monkeypatch.setattr(choose, "measure_deviation", judged_again)
    assert scale_of(opened(bundle, "cpu", "int8")[0]) == pytest.approx(1.0001, rel=1e-6)
    with pytest.raises(RuntimeError, match="judged again"):
        opened(with_precision(tmp_path / "other", "int8", 2e-4), "cpu", "int8")


@pytest.mark.parametrize(
    "other",
    ["bundle", "provider", "precision", "sdtc_ros", "gate", "engine", "device", "package", "library", "nothing"],
)
def test_a_verdict_is_about_all_that_answers_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """With anything else in its place it is not used, and neither is that news: another engine is judged anew."""
    judged: list[Any] = []
    said: list[str] = []
    installed = {"onnxruntime-gpu": "1.22.0", "nvidia-cudnn-cu12": "9.1.0", "tensorrt-cu12": "10.3.0", "numpy": "2.0.0"}
    libraries = {"libnvinfer.so.10.3.0": "7", "libcudnn.so.9": "1"}

    def judge(engine: Any, *_: Any, **__: Any) -> Deviation:
        judged.append(engine)
        return Deviation(10, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0)

    def distributions() -> list[Any]:
        return [SimpleNamespace(metadata={"Name": name}, version=version) for name, version in installed.items()]

    monkeypatch.setattr(choose, "measure_deviation", judge)
    monkeypatch.setattr(machine.metadata, "distributions", distributions)
    monkeypatch.setattr(choose, "loaded_libraries", lambda names: dict(libraries) if "libnvinfer" in names else {})
    Device(monkeypatch, {})
    bundle = with_precision(tmp_path / "b", "fp16", 0.0)
    provider, precision = "tensorrt", "fp32"

    def opened() -> None:
        config = EngineConfig(provider, precision)
        open_engine(bundle, config, report=said.append, cache=Cache(tmp_path / "cache", said.append))

    opened()
    installed["numpy"] = "2.1.0"
    if other == "bundle":
        bundle = make_bundle(tmp_path / "other", delta=1)
    elif other == "provider":
        provider = "cuda"
        monkeypatch.setattr(choose, "loaded_libraries", lambda _: dict(libraries))
    elif other == "precision":
        precision = "fp16"
        monkeypatch.setattr(Bundle, "hash_of", lambda *_: bundle.bundle_hash)
    elif other == "sdtc_ros":
        monkeypatch.setattr(choose, "__version__", "0.2.0")
    elif other == "gate":
        monkeypatch.setattr(choose, "GATE", choose.GATE + 1)
    elif other == "engine":
        monkeypatch.setattr(OnnxEngine, "identity", "built anew", raising=False)
    elif other == "device":
        monkeypatch.setattr(choose, "gpus", lambda: ["another GPU"])
    elif other == "package":
        installed["nvidia-cudnn-cu12"] = "9.2.0"
    elif other == "library":
        libraries["libnvinfer.so.10.3.0"] = "8"
    opened()
    opened()
    assert len(judged) == (1 if other == "nothing" else 2) and not said


def test_what_a_verdict_is_made_of() -> None:
    """Another field needs another GATE, or cached verdicts cannot be read."""
    assert GATE == 7
    assert [field.name for field in dataclasses.fields(Deviation)] == [
        "joints", "p50", "p99", "max", "over_pixel", "score", "undecided", "covariance"
    ]  # fmt: skip


def test_a_precision_that_deviates_is_refused_and_the_safer_one_runs(tmp_path: Path, opened: Any) -> None:
    engine, said = opened(with_precision(tmp_path / "b", "int8", 0.05), "cpu", "int8")
    assert scale_of(engine) == pytest.approx(1.0)
    (sentence,) = said
    assert sentence.startswith(
        "provider 'cpu' at int8 is not used: keypoints deviate from those of FP32 on the CPU: half"
    )
    assert sentence.endswith("; trying fp32")


@pytest.mark.slow
def test_a_verdict_that_is_kept_still_refuses(tmp_path: Path, opened: Any) -> None:
    bundle = with_precision(tmp_path / "b", "int8", 0.05)
    first, second = opened(bundle, "cpu", "int8"), opened(bundle, "cpu", "int8")
    assert first[1] == second[1] and scale_of(second[0]) == pytest.approx(1.0)


@pytest.mark.parametrize("provider", ["cuda", "tensorrt", "tensorrt-direct"])
def test_without_a_gpu_there_is_one_sentence_or_the_cpu(tmp_path: Path, opened: Any, provider: str) -> None:
    """No guessing: the CPU takes over only where it may, and that is said."""
    bundle = make_bundle(tmp_path / "b")
    with pytest.raises(UsageError) as refusal:
        opened(bundle, provider)
    assert "\n" not in str(refusal.value)
    engine, said = opened(bundle, provider, "auto", 1, True)
    assert engine.providers == ["CPUExecutionProvider"] and scale_of(engine) == pytest.approx(1.0)
    assert said == [f"{refusal.value}; falling back to the CPU, as allow_cpu permits"]


class Device:
    """Stands in for a GPU: engines on the CPU, which fail or deviate as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failing: dict[str, Exception]) -> None:
        self.opened: list[str] = []

        def open_device(bundle: Bundle, provider: str, precision: str, cache: Cache, max_batch: int) -> OnnxEngine:
            self.opened.append(precision)
            if precision in failing:
                raise failing[precision]
            return OnnxEngine(bundle, precision=precision, threads=1)

        monkeypatch.setattr(onnx_device, "open_onnx_device", open_device)
        monkeypatch.setattr(choose, "gpus", lambda: ["a GPU"])


@pytest.mark.slow
def test_on_a_gpu_the_fastest_that_holds_is_taken(tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """FP16 where the bundle has it and it holds, else FP32; an explicit fp32 is not second-guessed."""
    device = Device(monkeypatch, {})
    good, bad = with_precision(tmp_path / "good", "fp16", 1e-5), with_precision(tmp_path / "bad", "fp16", 0.02)
    assert scale_of(opened(good, "cuda")[0]) == pytest.approx(1.00001, rel=1e-7)
    engine, said = opened(bad, "cuda")
    assert scale_of(engine) == pytest.approx(1.0) and "at fp16 is not used" in said[0]
    opened(make_bundle(tmp_path / "plain"), "cuda")
    opened(good, "cuda", "fp32")
    assert device.opened == ["fp16", "fp16", "fp32", "fp32", "fp32"]


def test_a_graph_that_a_gpu_cannot_run_gives_way_to_a_safer_one_but_a_full_gpu_does_not(
    tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = with_precision(tmp_path / "b", "fp16", 0.0)
    Device(monkeypatch, {"fp16": BundleError("no kernel for it")})
    engine, said = opened(bundle, "cuda")
    assert scale_of(engine) == pytest.approx(1.0) and said == ["no kernel for it; trying fp32"]
    device = Device(monkeypatch, {"fp16": UsageError("too little memory")})
    with pytest.raises(UsageError, match="^too little memory$"):
        opened(bundle, "cuda")
    assert device.opened == ["fp16"]
    _, said = opened(bundle, "cuda", "auto", 1, True)
    assert said == ["too little memory; falling back to the CPU, as allow_cpu permits"]


@pytest.mark.slow
def test_where_nothing_holds_nothing_runs(tmp_path: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Never wrong poses: FP32 itself is compared on a GPU."""
    bundle = make_bundle(tmp_path / "b")

    class Wrong(OnnxEngine):
        def estimate(self, windows: Any, moves: Any = None) -> Any:
            keypoints, covariance = super().estimate(windows)
            return keypoints + np.float32(3), covariance

    Device(monkeypatch, {})
    monkeypatch.setattr(onnx_device, "open_onnx_device", lambda bundle, *_: Wrong(bundle, threads=1))
    with pytest.raises(BundleError, match="provider 'cuda' at fp32 is not used: keypoints deviate"):
        opened(bundle, "cuda")
    assert scale_of(opened(bundle, "cuda", "fp32", 1, True)[0]) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (("gpu",), "unknown provider 'gpu'; choose from cpu, cuda, tensorrt, tensorrt-direct"),
        (("cpu", "half"), "unknown precision 'half'; choose from auto, fp32, fp16, int8"),
        (("cuda", "int8"), "precision int8 needs provider cpu; with 'cuda' use fp16, fp32 or auto"),
    ],
)
def test_what_does_not_exist_is_refused(config: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        EngineConfig(*config)
    assert str(refusal.value) == sentence


def test_a_precision_that_the_bundle_lacks_is_not_replaced_silently(tmp_path: Path, opened: Any) -> None:
    with pytest.raises(BundleError, match="has no graphs in int8, but in fp32; `python -m export add"):
        opened(make_bundle(tmp_path / "b"), "cpu", "int8", 1, True)
