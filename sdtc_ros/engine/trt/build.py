# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ONNX bytes -> serialised TensorRT engine, for TensorRT 10.3 and later (11 too, which builds only such networks).

The network is strongly typed: its precisions are those of the graph, so the builder has no say in them. An engine runs
on the GPU and with the TensorRT that built it, and on no other: the compatible kinds are slower.
"""

from __future__ import annotations

import ctypes
import logging
import math
import re
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtc_ros.engine.cache import Report
from sdtc_ros.errors import BundleError, UsageError

if TYPE_CHECKING:
    import tensorrt as trt

BUILDER = 2  # to be raised whenever the same graph would be built otherwise
OLDEST = (10, 3)
BATCH = "batch"  # the range of every dimension that a profile does not name
PIXELS, SLOTS = "p", "slots"  # the names of such dimensions in `graphs`: a frame's pixels, a pool's slots
WORKSPACE = 4 << 30  # bytes, at most, for what a layer needs while it runs
SECONDS = 2.0  # between two lines of progress
Range = tuple[int, int, int]  # smallest, the one to optimise for, largest
Profile = Mapping[str, Range]  # by the names of the graph's dynamic dimensions; `BATCH` is always there
FRAMES: Range = (1, 640 * 480, 4096 * 2304)  # pixels
POOL, ELEMENTS = 1 << 16, (1 << 31) - 1  # slots that are enough for any crowd; what one of TensorRT's tensors may hold
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Graph:
    """A graph to build: `name` for messages, the outputs that are wanted, `path` beside which its weights may lie."""

    name: str
    content: bytes
    outputs: Sequence[str]
    path: Path | None = None


def most_slots(tokens: Mapping[str, tuple[int, ...]]) -> int:
    """The slots that a pool may have; tokens: per-crop shapes by name."""
    return min(POOL, ELEMENTS // max(math.prod(shape) for shape in tokens.values()))


def any_batch(largest: int, slots: int) -> Profile:
    """One profile for all batches up to `largest`, frames of any size and pools of up to `slots`."""
    return {PIXELS: FRAMES, SLOTS: (1, min(256, slots), slots), BATCH: (1, min(8, largest), largest)}


def one_batch(batch: int, slots: int) -> Profile:
    """A profile for that batch alone."""
    return {**any_batch(batch, slots), BATCH: (batch, batch, batch)}


def tensorrt_version() -> str:
    """The installed TensorRT's version; raises UsageError where there is none, or one that is too old."""
    try:
        import tensorrt as trt
    except (ImportError, OSError) as error:
        raise UsageError(
            f"TensorRT cannot be used from Python ({_line(str(error))}): install it (on a Jetson it is part of "
            "JetPack; elsewhere 'pip install tensorrt'), or choose provider 'cuda' or 'cpu'"
        ) from None
    version = str(trt.__version__)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise UsageError(f"TensorRT {version} is too old: {oldest} or newer is needed, or provider 'cuda' or 'cpu'")
    return version


def make_logger() -> Any:
    """A TensorRT logger (trt.ILogger): its `errors` holds the last errors; these and warnings are logged as infos."""
    import tensorrt as trt

    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: deque[str] = deque(maxlen=20)

        def log(self, severity: Any, msg: str) -> None:
            if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
                self.errors.append(_line(msg))
            if severity <= trt.ILogger.Severity.WARNING:
                _log.info(
                    "TensorRT: %s", msg
                )  # errors are reported where the call fails; most warnings tell nobody anything

    return Logger()


def build_engine(
    graph: Graph, profiles: Sequence[Profile], *, memory: int, timing: bytes, report: Report
) -> tuple[bytes, bytes]:
    """Build the engine, with one optimisation profile for each of `profiles`; returns it and the new timing cache.

    memory: bytes that TensorRT may use for what a layer needs while it runs; timing: what an earlier build measured
    of layers on this GPU, b"" if nothing; report: called with how far it is, every few seconds. The GPU's context must
    be current. Raises BundleError where TensorRT cannot take the graph, UsageError where it cannot build it here,
    KeyboardInterrupt where it was stopped.
    """
    import tensorrt as trt

    logger = make_logger()
    builder: trt.Builder = make(trt.Builder, logger)
    network: trt.INetworkDefinition = builder.create_network(
        1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)  # 11 knows the flag and does without
    )
    _parse(graph, network, logger)
    config: trt.IBuilderConfig = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, memory)
    config.clear_flag(trt.BuilderFlag.TF32)  # float32 in the graph means float32: it is the safe choice
    for ranges in profiles:
        config.add_optimization_profile(_profile(builder, network, ranges))
    cache: trt.ITimingCache = config.create_timing_cache(timing)
    if not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")  # the cached one is of another GPU or version
        config.set_timing_cache(cache, False)
    monitor = _make_monitor(graph.name, report)
    config.progress_monitor = monitor
    engine = _build(builder, network, config, monitor)
    if engine is None:
        reason = logger.errors[-1] if logger.errors else "it gives no reason"
        raise UsageError(f"TensorRT {trt.__version__} cannot build an engine of '{graph.name}' here: {reason}")
    return bytes(engine), bytes(cache.serialize())


def _parse(graph: Graph, network: trt.INetworkDefinition, logger: Any) -> None:
    """Read the graph into the network; raises BundleError with the parser's first error and the node it names."""
    import tensorrt as trt

    parser: trt.OnnxParser = trt.OnnxParser(network, logger)
    if parser.parse(graph.content, str(graph.path) if graph.path else None):
        outputs: list[trt.ITensor] = [network.get_output(i) for i in range(network.num_outputs)]
        for tensor in outputs:
            if tensor.name not in graph.outputs:
                network.unmark_output(tensor)  # heatmaps: TensorRT would have to write them to memory
        return
    reason = logger.errors[-1] if logger.errors else "it gives no reason"
    if parser.num_errors:
        error: trt.ParserError = parser.get_error(0)
        reason = f"node '{error.node_name()}' ({error.node_operator()}): {_line(error.desc())}"
        if parser.num_errors > 1:
            reason += f" (and {parser.num_errors - 1} more)"
    raise BundleError(f"TensorRT {trt.__version__} cannot parse the graph '{graph.name}': {reason}")


def _profile(builder: trt.Builder, network: trt.INetworkDefinition, ranges: Profile) -> trt.IOptimizationProfile:
    """Ranges of the dynamic dimensions as an optimisation profile: a shape three times for each input."""
    profile: trt.IOptimizationProfile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor: trt.ITensor = network.get_input(index)
        sizes = [
            (size, size, size) if size >= 0 else ranges.get(tensor.get_dimension_name(axis), ranges[BATCH])
            for axis, size in enumerate(tensor.shape)
        ]
        if sizes:
            profile.set_shape(tensor.name, *zip(*sizes, strict=True))
    return profile


def _build(builder: trt.Builder, network: Any, config: trt.IBuilderConfig, monitor: Any) -> Any:
    """Build in a thread of its own, so that Ctrl-C is heard at once and ends the build at its next step."""
    results: list[Any] = []

    def work() -> None:
        try:
            results.append(builder.build_serialized_network(network, config))
        except Exception as error:  # raised again below, where it has a caller
            results.append(error)

    thread = threading.Thread(target=work, name="tensorrt-build", daemon=True)
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.2)
    except BaseException:
        monitor.stop = True
        thread.join()
        raise
    if isinstance(results[0], Exception):
        raise results[0]
    return results[0]


def _make_monitor(name: str, report: Report) -> Any:
    """A TensorRT progress monitor (trt.IProgressMonitor); its `stop` ends the build."""
    import tensorrt as trt

    class Monitor(trt.IProgressMonitor):
        """Called from several of TensorRT's threads; an exception must not leave it."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.stop = False
            self._steps: dict[str, int] = {}
            self._begun = self._said = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            now = time.monotonic()
            if now - self._said >= SECONDS:
                self._said = now
                of = self._steps.get(phase_name, 0)
                report(f"building {name}: {phase_name}, {step + 1} of {of}, {now - self._begun:.0f} s so far")
            return not self.stop

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

    return Monitor()


def make(kind: Any, logger: Any) -> Any:
    """A builder or runtime of TensorRT's; raises UsageError where it cannot be.

    On a driver that is too old TensorRT 11 makes one all the same and only tells its logger; the first call, and even
    freeing it, then ends the process.
    """
    before = len(logger.errors)
    try:
        made = kind(logger)
    except TypeError:  # so its bindings tell of a null pointer
        made = None
    if made is not None and len(logger.errors) == before:
        return made
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))  # never freed
    reason = logger.errors[before] if len(logger.errors) > before else "it gives no reason"
    raise UsageError(
        f"TensorRT {tensorrt_version()} cannot start on this GPU ({reason}); error 35 means that the driver is too "
        "old: update it, or choose provider 'cuda' or 'cpu'"
    )


def _line(text: str) -> str:
    """The first line that says something, without places in TensorRT's source and an end that breaks a sentence."""
    lines = [re.sub(r" In \S+ at [^\s)]+", "", line).strip() for line in text.splitlines() if line.strip()]
    return lines[0][:300].rstrip(".") if lines else "it gives no reason"
