# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The options of ONNX Runtime's TensorRT provider: names that it knows, ranges that it parses, keys that tell apart."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import onnxruntime
import pytest
from fake_bundle import make_bundle

from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.gpu import GpuInfo
from sdtc_ros.engine.graphs import cut_graph, pooled_graph
from sdtc_ros.engine.ort import tensorrt as onnx_tensorrt
from sdtc_ros.engine.ort.tensorrt import (
    input_ranges,
    library_version,
    provider_key,
    provider_options,
    tensorrt_options,
)
from sdtc_ros.engine.trt.build import any_batch
from sdtc_ros.errors import BundleError, UsageError


def test_ranges_in_the_providers_form(tmp_path: Path) -> None:
    """One profile that holds every batch; `input:1x2,other:3`, the same inputs three times."""
    bundle = make_bundle(tmp_path / "bundle")
    options = provider_options(tmp_path, input_ranges(bundle.encoder, any_batch(64, 1 << 16)))
    assert options["trt_profile_min_shapes"] == "crops:1x32x24x3"
    assert options["trt_profile_opt_shapes"] == "crops:8x32x24x3"
    assert options["trt_profile_max_shapes"] == "crops:64x32x24x3"
    temporal = provider_options(None, input_ranges(pooled_graph(bundle.temporal, bundle.tokens), any_batch(4, 1 << 16)))
    assert temporal["trt_profile_min_shapes"] == "pool_tokens:1x4x3,index:1x5"
    assert temporal["trt_profile_max_shapes"] == "pool_tokens:65536x4x3,index:4x5"
    cut = provider_options(None, input_ranges(cut_graph((24, 32)), any_batch(4, 1 << 16)))
    assert cut["trt_profile_opt_shapes"] == "pixels:307200x3,size:2,x_32:4x24,y_32:4x32"


def test_where_it_keeps_what(tmp_path: Path) -> None:
    """In the folder, or nowhere; the graph's own types decide about FP16; all values are words."""
    options = provider_options(tmp_path, {})
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(tmp_path)
    assert options["trt_engine_cache_enable"] == options["trt_timing_cache_enable"] == "1"
    assert options["trt_fp16_enable"] == "0"
    assert not [name for name in provider_options(None, {}) if "cache" in name]
    assert all(isinstance(value, str) for value in options.values())


def test_the_provider_knows_every_name(tmp_path: Path) -> None:
    """Against the names in the installed provider's own library."""
    library = Path(onnxruntime.__file__).parent / "capi" / "libonnxruntime_providers_tensorrt.so"
    if not library.is_file():
        pytest.skip("the installed ONNX Runtime has no TensorRT provider (pip install onnxruntime-gpu)")
    content = library.read_bytes()
    options = provider_options(tmp_path, {"crops": [(1, 2, 3)]})
    assert [name for name in options if b"\0" + name.encode() + b"\0" not in content] == []


@pytest.mark.parametrize("change", ["gpu", "tensorrt", "onnxruntime", "bundle", "graph", "ranges"])
def test_each_combination_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    """The provider itself would load an engine of another model or version."""
    monkeypatch.setattr(onnx_tensorrt, "gpus", lambda: [GpuInfo("Orin", "8.7", 1, "12.6")])
    monkeypatch.setattr(onnx_tensorrt, "library_version", lambda: "10.3.0")
    words, graph, profile = {"bundle": "b", "precision": "fp16"}, b"graph", any_batch(8, 1 << 16)
    key = provider_key("encoder", graph, profile, words)
    assert provider_key("encoder", graph, profile, words) == key
    if change == "gpu":
        monkeypatch.setattr(onnx_tensorrt, "gpus", lambda: [GpuInfo("H200", "8.7", 1, "12.6")])
    elif change == "tensorrt":
        monkeypatch.setattr(onnx_tensorrt, "library_version", lambda: "10.9.0")
    elif change == "onnxruntime":
        monkeypatch.setattr(onnxruntime, "__version__", "1.99")
    elif change == "bundle":
        words = {**words, "bundle": "c"}
    elif change == "graph":
        graph = b"other"
    else:
        profile = any_batch(4, 1 << 16)
    other = provider_key("encoder", graph, profile, words)
    cache = Cache(tmp_path)
    assert cache.folder_for(key) != cache.folder_for(other)
    assert [name for name in key.words if key.words[name] != other.words[name]] == [change]


@pytest.mark.parametrize(("failing", "costs"), [(BundleError, True), (UsageError, False), (KeyboardInterrupt, False)])
def test_a_session_that_cannot_be_opened_costs_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: type[BaseException], costs: bool
) -> None:
    """Where its files may be the cause; a full GPU, a missing library or Ctrl-C throws minutes of work not away."""
    monkeypatch.setattr(onnx_tensorrt, "gpus", lambda: [GpuInfo("Orin", "8.7", 1, "12.6")])
    bundle, cache = make_bundle(tmp_path / "bundle"), Cache(tmp_path / "cache")
    for fails in (False, True):
        with suppress(failing), tensorrt_options(bundle, "encoder", bundle.encoder, "fp32", 8, cache) as options:
            kept = Path(options["trt_engine_cache_path"]) / "sdtc.engine"
            assert kept.exists() == fails
            kept.write_bytes(b"engine")
            if fails:
                raise failing
    assert (cache.entries() == []) == costs
    assert kept.exists() != costs


def test_the_librarys_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """As TensorRT counts: major * 10000 + minor * 100 + patch; none is a word too."""

    def load(name: str) -> SimpleNamespace:
        if name.endswith(".10"):
            raise OSError(name)
        return SimpleNamespace(getInferLibVersion=lambda: 110400)

    monkeypatch.setattr(onnx_tensorrt.ctypes, "CDLL", load)
    assert library_version() == "11.4.0"
    monkeypatch.setattr(onnx_tensorrt, "LIBRARIES", ("libnvinfer.so.10",))
    assert library_version() == "none"


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver's own word."""

    def none() -> list[GpuInfo]:
        raise UsageError("no GPU can be used: the driver finds none")

    monkeypatch.setattr(onnx_tensorrt, "gpus", none)
    with pytest.raises(UsageError, match="the driver finds none"):
        provider_key("encoder", b"", any_batch(1, 1 << 16), {})
