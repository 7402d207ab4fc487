# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A detector's graph in an ONNX Runtime session, on the provider that the model runs on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.ort.session import open_session, provider_of
from sdtc_ros.options import DIRECT

Range = tuple[int, int, int]  # of a dimension: the smallest, the usual and the largest
_log = logging.getLogger("sdtc_ros")


def open_detector(
    graph: Path, provider: str, threads: int = 0, allow_cpu: bool = False, ranges: Mapping[str, Range] | None = None
) -> Any:
    """The graph's session; that the CPU takes a GPU's place is logged.

    tensorrt-direct has no ONNX Runtime in it: a detector then takes CUDA where that is available, else the CPU. ranges:
    of the dimensions that the graph leaves open, by name, for which TensorRT's engine is built and cached;
    None: rebuilt for every shape. Raises BundleError for the graph and UsageError for the provider, as
    `open_session`.
    """
    direct = provider == DIRECT
    on = "cuda" if direct else provider
    if on == "tensorrt" and ranges:
        session = _open_tensorrt(graph, allow_cpu, ranges)
    else:
        session = open_session(graph, on, threads=threads, allow_cpu=allow_cpu or direct)
    if on != "cpu" and provider_of(session) == "cpu":
        _log.warning("detector '%s' runs on the CPU: ONNX Runtime cannot use provider '%s' here", graph.name, on)
    return session


def _open_tensorrt(graph: Path, allow_cpu: bool, ranges: Mapping[str, Range]) -> Any:
    import onnxruntime as ort

    if "TensorrtExecutionProvider" not in ort.get_available_providers():
        return open_session(graph, "tensorrt", allow_cpu=allow_cpu)  # which says what is missing
    from sdtc_ros.engine.ort.tensorrt import cached_options

    with cached_options("detector", graph, dict(ranges), {}, Cache(report=_log.warning)) as options:
        return open_session(graph, "tensorrt", allow_cpu=allow_cpu, provider_options={"tensorrt": options})
