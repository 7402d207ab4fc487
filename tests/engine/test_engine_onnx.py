# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The ONNX Runtime engine: right numbers, chunks, and errors in place of silent fallbacks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from fake_bundle import COVARIANCE, make_bundle

from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.engine.ort.session import open_session
from sdtc_ros.errors import BundleError, UsageError
from sdtc_ros.models.bundle import load_bundle
from sdtc_ros.models.bundle_files import file_hash
from sdtc_ros.skeleton import COCO


@pytest.mark.parametrize("max_batch", [64, 3])
def test_windows_reach_the_graph_in_order(tmp_path: Path, max_batch: int) -> None:
    """Joint k speaks of frame k % 5 of its own window; chunked or not, for any mixture of handles."""
    engine = OnnxEngine(make_bundle(tmp_path), threads=1, max_batch=max_batch)
    crops = np.random.default_rng(0).integers(0, 256, (8, 32, 24, 3), dtype=np.uint8)
    handles = engine.encode(crops)
    assert len(handles) == 8
    order = np.random.default_rng(1).integers(0, 8, (7, 5))
    keypoints, covariance = engine.estimate([[handles[i] for i in row] for row in order])
    colours = crops.mean(axis=(1, 2)) / [1, 1, 255]
    np.testing.assert_allclose(keypoints, colours[order][:, np.arange(15) % 5], rtol=1e-5)
    np.testing.assert_allclose(covariance, np.broadcast_to(COVARIANCE, (7, 15, 3)))


@pytest.mark.parametrize(("limit", "largest"), [(3 * 5 * 12 * 4, 3), (1, 1), (1 << 29, 7)])
def test_large_tokens_run_in_smaller_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int, largest: int
) -> None:
    """Memory is bounded by the tokens' size, not by the number of people: 5 frames x 12 numbers a window here."""
    monkeypatch.setattr("sdtc_ros.engine.base.WINDOW_BYTES", limit)
    engine = OnnxEngine(make_bundle(tmp_path), threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (5, 32, 24, 3), dtype=np.uint8)
    handles = engine.encode(crops)
    keypoints, _ = engine.estimate([handles] * 7)
    np.testing.assert_array_equal(keypoints, np.broadcast_to(keypoints[:1], keypoints.shape))
    assert len(engine._windows["tokens"]) == largest * 5


def test_tokens_do_not_depend_on_the_crops_buffer(tmp_path: Path) -> None:
    """The caller may overwrite its crops once encode has returned."""
    engine = OnnxEngine(make_bundle(tmp_path), threads=1)
    crops = np.full((1, 32, 24, 3), 80, np.uint8)
    handle = engine.encode(crops)[0]
    crops[:] = 0
    engine.encode(crops)
    assert engine.estimate([[handle] * 5])[0][0, 0, 0] == pytest.approx(80)


def test_a_provider_that_is_not_there_is_an_error_unless_the_cpu_is_allowed(tmp_path: Path) -> None:
    """Nobody computes on the CPU without having said so."""
    import onnxruntime

    bundle = make_bundle(tmp_path)
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(UsageError, match="provider 'cuda' cannot be used"):
        OnnxEngine(bundle, "cuda")
    assert OnnxEngine(bundle, "cuda", allow_cpu=True, threads=1).providers == ["CPUExecutionProvider"]
    with pytest.raises(UsageError, match="unknown provider 'tpu'; choose from cpu, cuda, tensorrt"):
        OnnxEngine(bundle, "tpu")


def test_a_silent_fallback_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runtime that claims to offer a provider and then does not use it (no driver) is caught by its own word."""
    import onnxruntime

    bundle = make_bundle(tmp_path)
    real = onnxruntime.InferenceSession
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda path, options, providers: real(path, options, providers=both[1:])
    )
    with pytest.raises(UsageError, match=r"a library that ONNX Runtime .* needs is missing \(.*providers_cuda.so"):
        open_session(bundle.encoder, "cuda")
    assert open_session(bundle.encoder, "cuda", allow_cpu=True).get_providers() == both[1:]


@pytest.mark.parametrize("spinning", [False, True])
def test_threads_sleep_unless_they_are_to_spin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spinning: bool) -> None:
    """ONNX Runtime's own default is to spin, which takes the cores from everybody else."""
    import onnxruntime

    real, seen = onnxruntime.InferenceSession, []

    def noted(path: str, options: onnxruntime.SessionOptions, providers: list) -> object:
        seen.append(options.get_session_config_entry("session.intra_op.allow_spinning"))
        return real(path, options, providers=providers)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noted)
    OnnxEngine(make_bundle(tmp_path), threads=2, spinning=spinning)
    assert seen == ["1" if spinning else "0"] * 2


def test_broken_and_mismatched_graphs(tmp_path: Path) -> None:
    """What no hash can know: graphs that are none, that are another's, that give other shapes."""
    bundle = make_bundle(tmp_path / "a")
    with pytest.raises(BundleError, match="but model.json says"):
        OnnxEngine(dataclasses.replace(bundle, tokens={"tokens": (4, 5)}))
    with pytest.raises(BundleError, match="must take .* and give"):
        OnnxEngine(dataclasses.replace(bundle, tokens={"features": (4, 3)}))
    with pytest.raises(BundleError, match="do not run as described"):
        OnnxEngine(dataclasses.replace(bundle, delta=1))
    with pytest.raises(BundleError, match="skeleton 'coco' needs"):
        OnnxEngine(dataclasses.replace(bundle, skeleton=COCO))
    text = (tmp_path / "a" / "model.json").read_text()
    bundle.encoder.write_bytes(b"no graph at all")
    (tmp_path / "a" / "model.json").write_text(text.replace(bundle.files["encoder.onnx"], file_hash(bundle.encoder)))
    with pytest.raises(BundleError, match="encoder.onnx' cannot be loaded by ONNX Runtime") as caught:
        OnnxEngine(load_bundle(tmp_path / "a"))
    assert "\n" not in str(caught.value)
