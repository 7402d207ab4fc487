# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One engine's row: opened, timed part by part and batch by batch, and the tables of all rows."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.accelerator.peak import median_seconds
from benchmarks.measure import CLOCKS
from benchmarks.models import network_config, random_bundle, with_precision
from benchmarks.report import table
from benchmarks.scenes import walking_people
from sdtc_ros.crops import crop_boxes
from sdtc_ros.engine.base import CuttingEngine, Engine
from sdtc_ros.engine.cache import Cache
from sdtc_ros.engine.select import EngineConfig, open_ungated
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig

PARTS = ("encoder", "temporal", "pipeline")
TORCH, COMPILED = "torch", "compiled"


@dataclass(frozen=True)
class Result:
    """Seconds of one call on `batch` people, and the share of the peak that its useful multiply-adds make."""

    network: str
    engine: str
    part: str
    batch: int
    seconds: float
    share: float


def multiply_adds(network: str) -> dict[str, int]:
    """Of each part, a person and frame."""
    from training.cost import sdtc_costs

    costs = sdtc_costs(network_config(network))
    whole = sum(cost.streaming_macs for cost in costs)
    encoder = sum(cost.streaming_macs for cost in costs if cost.part in ("backbone", "projection"))
    return {"encoder": encoder, "temporal": whole - encoder, "pipeline": whole}


def measure_row(network: str, row: str, args: argparse.Namespace, peak: float) -> list[Result]:
    """All parts and batches of one engine; raises whatever its runtime does."""
    bundle = random_bundle(network)
    engine = _open(network, bundle, row, args)
    macs = multiply_adds(network)
    results = []
    for part in args.parts:
        for batch in args.batches:
            work = _WORK[part](bundle, engine, batch, args.size)
            seconds = median_seconds(work, args.device, args.repeats, CLOCKS[args.clock])
            results.append(Result(network, row, part, batch, seconds, 2 * batch * macs[part] / seconds / peak))
    if args.profile and row.startswith(TORCH):
        args.profile = False  # once is enough
        print(_kernels(_encoder(bundle, engine, max(args.batches), args.size), args.device))
    return results


def _open(network: str, bundle: Bundle, row: str, args: argparse.Namespace) -> Engine:
    """Without the gate: what random weights give is not worth one, and no row may become another."""
    backend, _, precision = row.rpartition("-")
    if backend in (TORCH, COMPILED):
        import torch

        from benchmarks.accelerator.torch_engine import TorchEngine
        from training.models.sdtc import SDTC

        torch.manual_seed(0)
        return TorchEngine(SDTC(network_config(network)), args.device, precision, compiled=backend == COMPILED)
    bundle = with_precision(bundle, precision)
    config, most = EngineConfig(backend, precision, args.threads), max(args.batches)
    engine = open_ungated(bundle, config, report=_say, cache=Cache(report=_say), max_batch=most)
    if isinstance(engine, CuttingEngine) and engine.max_batch < most:
        _say(f"{network}, {row}: more than {engine.max_batch} people run in chunks, so much do their windows take")
    return engine


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _crops(bundle: Bundle, batch: int) -> npt.NDArray[np.uint8]:
    width, height = bundle.input_size
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), np.uint8)


def _encoder(bundle: Bundle, engine: Engine, batch: int, size: tuple[int, int]) -> Callable[[], object]:
    """Crops where the engine finds them fastest: on the device, cut there from a frame uploaded before, in memory."""
    if isinstance(engine, CuttingEngine):
        frame, people = walking_people(batch, size, 1)[0]
        width, height = bundle.input_size
        return partial(engine.encode_from, [(frame.image, crop_boxes(people.xywh, width / height))])
    place = getattr(engine, "place", None)  # torch's
    crops = _crops(bundle, batch)
    return partial(engine.encode, place(crops) if place else crops)


def _temporal(bundle: Bundle, engine: Engine, batch: int, size: tuple[int, int]) -> Callable[[], object]:
    handles = engine.encode(_crops(bundle, batch))
    frames = range(2 * bundle.delta + 1)
    return partial(engine.estimate, [[handles[(row + frame) % batch] for frame in frames] for row in range(batch)])


def _pipeline(bundle: Bundle, engine: Engine, batch: int, size: tuple[int, int]) -> Callable[[], object]:
    """A call is the next frame of people who walk on and on; the first window is full before any is timed.

    Every frame is an array of its own, if of the same few pixels: an engine takes none for one that it has already.
    """
    pipeline = Pipeline(bundle, engine, PipelineConfig(max_people=batch))
    full = 2 * bundle.delta + 1
    clip = iter(walking_people(batch, size, 2000 + full))

    def work() -> object:
        frame, boxes = next(clip)
        return pipeline.process(replace(frame, image=frame.image[:]), boxes)

    for _ in range(full):
        work()
    return work


_WORK = {"encoder": _encoder, "temporal": _temporal, "pipeline": _pipeline}


def _kernels(work: Callable[[], object], device: str) -> str:
    """Torch's own account of where the time of one call goes."""
    from torch.profiler import ProfilerActivity, profile

    used = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == "cuda" else [])]
    try:
        with profile(activities=used) as found:
            work()
    except RuntimeError as error:  # the driver may forbid it; the figures stand without
        return f"torch's profiler cannot be used: {error}"
    return str(found.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=15))


def device_text(device: str) -> str:
    """The device's name, and what is known of its driver."""
    if device == "cpu":
        return f"CPU {platform.machine()}"
    import torch

    card = torch.cuda.get_device_properties(0)
    capability, memory = f"{card.major}.{card.minor}", f"{card.total_memory / 1e9:.0f} GB"
    return f"{card.name}, compute capability {capability}, {memory}, CUDA {torch.version.cuda}"


def report(results: list[Result]) -> str:
    """A table a network and part: milliseconds and share of the peak, by engine and batch."""
    texts = []
    for network, part in dict.fromkeys((r.network, r.part) for r in results):
        mine = [r for r in results if (r.network, r.part) == (network, part)]
        batches = sorted({r.batch for r in mine})
        rows = []
        for engine in dict.fromkeys(r.engine for r in mine):
            by_batch = {r.batch: r for r in mine if r.engine == engine}
            rows.append([engine, *(_cell(by_batch.get(batch)) for batch in batches)])
        header = [f"{network}, {part}: ms (share of peak)", *(f"batch {batch}" for batch in batches)]
        texts.append(table(header, rows))
    return "\n\n".join(texts)


def _cell(result: Result | None) -> str:
    return "-" if result is None else f"{1000 * result.seconds:.2f} ({100 * result.share:.1f} %)"
