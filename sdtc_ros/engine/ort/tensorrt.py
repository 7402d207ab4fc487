# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The options of ONNX Runtime's TensorRT provider, set so that it builds an engine once and not at every start.

The provider checks little of what it finds in its cache (its manual asks the user to empty it whenever the model, ONNX
Runtime, TensorRT or the GPU changes), so every combination of these gets a folder of its own (`cache.Key`). Option
names: https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html, and the library of 1.31.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sdtc_ros.engine.cache import Cache, Key
from sdtc_ros.engine.gpu import gpus
from sdtc_ros.engine.graphs import need_onnx
from sdtc_ros.engine.trt.build import BATCH, WORKSPACE, Profile, Range, any_batch, most_slots
from sdtc_ros.errors import BundleError
from sdtc_ros.models.bundle import Bundle

LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.11")  # the provider of ONNX Runtime 1.18 to 1.31 loads the first


@contextmanager
def tensorrt_options(
    bundle: Bundle, name: str, graph: Path | bytes, precision: str, max_batch: int, cache: Cache
) -> Iterator[dict[str, str]]:
    """The provider's options for one of a bundle's graphs, to open its session with inside the block.

    Other processes that want the same engine wait meanwhile. Where the session refuses the graph (BundleError), what
    was cached is removed: it may be the cause; a full GPU or a stop costs nothing. Raises UsageError where there is no
    GPU.
    """
    profile = any_batch(max_batch, most_slots(bundle.tokens))
    with cached_options(f"{name}.{precision}", graph, profile, {"bundle": bundle.hash_of(precision)}, cache) as options:
        yield options


@contextmanager
def cached_options(
    name: str, graph: Path | bytes, profile: Profile, words: Mapping[str, str], cache: Cache
) -> Iterator[dict[str, str]]:
    """`tensorrt_options` for any graph; words: what it is made from (see `provider_key`)."""
    key = provider_key(name, graph, profile, words)
    need_onnx("tensorrt")
    with cache.alone(key):
        folder = cache.folder_for(key)
        try:
            yield provider_options(folder, input_ranges(graph, profile))
        except BundleError:
            cache.discard(key)
            raise


def provider_options(folder: Path | None, ranges: Mapping[str, list[Range]]) -> dict[str, str]:
    """Options of the TensorRT provider for one graph.

    folder: where engine and timings are kept, None for nowhere; ranges: for each input, every dimension's (smallest,
    optimum, largest). With ranges for all inputs the engine is built when the session is opened, not at the first run
    of each shape. `trt_fp16_enable` stays off: our FP16 graphs say themselves what is FP16, and with it TensorRT would
    choose for itself, LayerNormalization included.
    """
    options = {
        "device_id": "0", "trt_fp16_enable": "0", "trt_int8_enable": "0", "trt_max_workspace_size": str(WORKSPACE),
        "trt_context_memory_sharing_enable": "1",
    }  # fmt: skip
    for i, which in enumerate(("min", "opt", "max")):
        shapes = [f"{name}:{'x'.join(str(one[i]) for one in sizes)}" for name, sizes in ranges.items() if sizes]
        options[f"trt_profile_{which}_shapes"] = ",".join(shapes)
    if folder is not None:
        options |= {
            "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(folder), "trt_engine_cache_prefix": "sdtc",
            "trt_timing_cache_enable": "1", "trt_timing_cache_path": str(folder),
        }  # fmt: skip
    return options


def input_ranges(graph: Path | bytes, profile: Profile) -> dict[str, list[Range]]:
    """For each input of an ONNX graph, every dimension's range: the profile's by its name, else its batch's."""
    import onnx

    model = (
        onnx.load_from_string(graph) if isinstance(graph, bytes) else onnx.load(str(graph), load_external_data=False)
    )
    return {
        value.name: [
            profile.get(d.dim_param, profile[BATCH]) if d.dim_param else (d.dim_value,) * 3
            for d in value.type.tensor_type.shape.dim
        ]
        for value in model.graph.input
    }


def provider_key(name: str, graph: Path | bytes, profile: Profile, words: Mapping[str, str]) -> Key:
    """What the provider's engine of a graph depends on; words: what the graph is made from (bundle, precision).

    Raises UsageError where there is no GPU.
    """
    import onnxruntime as ort

    gpu = gpus()[0]
    content = graph if isinstance(graph, bytes) else graph.read_bytes()
    return Key(f"onnxruntime-{name}", {
        **words, "graph": hashlib.sha256(content).hexdigest(), "gpu": gpu.name, "compute capability": gpu.capability,
        "onnxruntime": str(ort.__version__), "tensorrt": library_version(), "cuda": gpu.driver.split(".")[0],
        "ranges": str(sorted(profile.items())),
    })  # fmt: skip


def library_version() -> str:
    """The version of the TensorRT library that would be loaded, e.g. '10.16.1'; 'none' where there is none."""
    for name in LIBRARIES:
        try:
            number = int(ctypes.CDLL(name).getInferLibVersion())
        except OSError:
            continue
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return "none"
