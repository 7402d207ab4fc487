# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which engine runs a bundle: the provider asked for, at the fastest precision whose keypoints hold.

Every engine but the reference (FP32 in ONNX Runtime on the CPU) is compared with it before it is used (`_deviation`);
where it moves keypoints too far, or is not available, the next safer precision is tried and that is reported. The CPU
takes a GPU's place only where the user allowed it.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace

from sdtc_ros.engine.accuracy_check import GATE, Deviation, measure_deviation
from sdtc_ros.engine.base import MAX_BATCH, Engine
from sdtc_ros.engine.cache import Cache, Key, Report
from sdtc_ros.engine.gpu import gpus
from sdtc_ros.engine.ort.host import OnnxEngine
from sdtc_ros.errors import BundleError, SdtcError, UsageError
from sdtc_ros.host import cpu_hash, cpu_model, loaded_libraries, packages
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.options import DIRECT, PRECISION, PROVIDER
from sdtc_ros.version import __version__

# what an engine's answers may depend on: packages by how their names begin, libraries (a robot's come with its system)
PACKAGES = {"cpu": ("onnxruntime",), "gpu": ("onnxruntime", "tensorrt", "nvidia-")}
LIBRARIES = ("libcudart", "libcublas", "libcublasLt", "libcudnn")
TENSORRT = ("libnvinfer",)
_log = logging.getLogger("sdtc_ros")


@dataclass(frozen=True)
class EngineConfig:
    """What a bundle is to run on.

    provider: cpu, cuda or tensorrt (ONNX Runtime's), or tensorrt-direct (TensorRT itself, through pycuda); precision:
    fp32, fp16, int8, or auto: the fastest that the bundle holds for a GPU, fp32 for the CPU; threads: of ONNX Runtime
    on the CPU, 0 for its own choice; allow_cpu: run there where the provider is not available.
    """

    provider: str = PROVIDER.default
    precision: str = PRECISION.default
    threads: int = 0
    allow_cpu: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for names that are not known, or do not go together."""
        PROVIDER.check(self.provider)
        PRECISION.check(self.precision)
        if self.precision == "int8" and self.provider != "cpu":
            raise UsageError(f"precision int8 needs provider cpu; with '{self.provider}' use fp16, fp32 or auto")


def open_engine(
    bundle: Bundle, config: EngineConfig | None = None, *, report: Report = _log.warning, cache: Cache | None = None
) -> Engine:
    """A warm engine for a bundle; report is sidecar, in one sentence each, what was not as asked.

    Raises UsageError where the provider is not available and the CPU is not allowed, BundleError for a bundle that
    cannot be used, has no graphs of that precision, or whose keypoints deviate at every precision.
    """
    config, cache = config or EngineConfig(), cache or Cache(report=report)
    precisions = _precisions(bundle, config)
    try:
        return _first_that_holds(bundle, config, precisions, report, cache)
    except SdtcError as error:
        if config.provider == "cpu" or not config.allow_cpu:
            raise
        report(f"{error}; falling back to the CPU, as allow_cpu permits")
        return open_ungated(bundle, replace(config, provider="cpu", precision="fp32"), report=report, cache=cache)


def _first_that_holds(
    bundle: Bundle, config: EngineConfig, precisions: list[str], report: Report, cache: Cache
) -> Engine:
    """The first engine, from the fastest to the safest precision, that runs the graphs and does not deviate."""
    refused = ""
    for precision in precisions:
        if refused:
            report(f"{refused}; trying {precision}")
        try:
            engine = open_ungated(bundle, replace(config, precision=precision), report=report, cache=cache)
        except BundleError as error:
            refused = str(error)
            continue
        deviation = _deviation(bundle, engine, config, precision, cache)
        refused = deviation.refusal(precision)
        if not refused:
            return engine
        refused = f"provider '{config.provider}' at {precision} is not used: {refused}"
    raise BundleError(refused)


def _precisions(bundle: Bundle, config: EngineConfig) -> list[str]:
    """From the one wanted to the safest; raises BundleError where the bundle has no graphs of the one asked for."""
    if config.precision == "auto":
        return ["fp16", "fp32"] if config.provider != "cpu" and "fp16" in bundle.precisions else ["fp32"]
    bundle.graphs(config.precision)
    return list(dict.fromkeys((config.precision, "fp32")))


def open_ungated(
    bundle: Bundle, config: EngineConfig, *, report: Report, cache: Cache, max_batch: int = MAX_BATCH
) -> Engine:
    """The engine of exactly that provider and precision (not auto), warm but not compared with the reference.

    For measuring it; max_batch: larger batches run in chunks. Raises as `open_engine`.
    """
    precision = config.precision
    if config.provider == "cpu":
        return OnnxEngine(bundle, precision=precision, threads=config.threads, max_batch=max_batch)
    if config.provider == DIRECT:
        from sdtc_ros.engine.trt.device import open_tensorrt

        return open_tensorrt(bundle, precision, report, cache, max_batch)
    from sdtc_ros.engine.ort.device import open_onnx_device

    return open_onnx_device(bundle, config.provider, precision, cache, max_batch)


def _deviation(bundle: Bundle, engine: Engine, config: EngineConfig, precision: str, cache: Cache) -> Deviation:
    """How far the engine's keypoints lie from the reference's; measured once for what `_words` says."""
    if config.provider == "cpu" and precision == "fp32":
        return Deviation.none()
    key = Key("deviation", _words(bundle, engine, config.provider, precision))

    def measured() -> bytes:
        found = measure_deviation(engine, bundle, precision=precision, threads=config.threads)
        return json.dumps(asdict(found)).encode()

    return Deviation(**json.loads(cache.obtain(key, measured, explain=False)))


def _words(bundle: Bundle, engine: Engine, provider: str, precision: str) -> dict[str, str]:
    """Everything that a verdict is about: bundle, gate, engine, device, and the runtime with what it stands on."""
    on_cpu = provider == "cpu"
    begin = PACKAGES["cpu" if on_cpu else "gpu"]
    installed = packages()
    libraries = () if on_cpu else LIBRARIES if provider == "cuda" else LIBRARIES + TENSORRT
    return {
        "bundle": bundle.hash_of(precision), "provider": provider, "precision": precision,
        "sdtc_ros": __version__, "gate": str(GATE), "engine": engine.identity,
        "device": f"{cpu_model()} ({cpu_hash()})" if on_cpu else str(gpus()[0]),
        **{name: installed[name] for name in sorted(installed) if name.startswith(begin)},
        **(loaded_libraries(libraries) if libraries else {}),
    }  # fmt: skip
