# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Every engine against the card's own peak: `python benchmarks/gpu.py [--json FILE] [--plot FILE]`.

Encoder, temporal graph and whole pipeline of each network (random weights: they do not change the speed) at several
batches, on torch (eager and compiled), ONNX Runtime (CUDA and TensorRT) and TensorRT itself, those that are there; a
row that cannot be measured says why in one line. Encoder: crops on the device (torch), or cut there from a frame that
lies there (our engines), to tokens on the device. Temporal: tokens on the device to keypoints in host memory.
Pipeline: frames in host memory, boxes given, to poses (torch's crops are cut on the CPU).

The share is useful multiply-adds a second (counted by training.cost, two operations each; a pipeline's crop that had
to be encoded again is no use) of the fastest square matrix product that torch reached in this run. `ratio` is the
best engine's share in the encoder of the largest network at batches of 32 and more (`ratio_batch` where there is
none: the largest batch). With `--device cpu` the same runs on the CPU: small networks, small batches.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/gpu.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.accelerator.plot import draw  # noqa: E402
from benchmarks.accelerator.rows import PARTS, Result, device_text, measure_row, report  # noqa: E402
from benchmarks.measure import CLOCKS, carry_out, check_options  # noqa: E402
from benchmarks.models import NETWORKS  # noqa: E402
from benchmarks.plots import check_plot  # noqa: E402
from benchmarks.report import surroundings, write_json  # noqa: E402
from benchmarks.scenes import parse_size  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402

# engine-precision: torch's are benchmarks.accelerator's, the others those of sdtc_ros.engine.base
ROWS = {
    "cuda": (
        "torch-fp32", "torch-fp16", "torch-bf16", "compiled-fp16", "compiled-bf16", "cuda-fp32", "cuda-fp16",
        "tensorrt-fp32", "tensorrt-fp16", "tensorrt-direct-fp32", "tensorrt-direct-fp16",
    ),
    "cpu": ("torch-fp32", "cpu-fp32"),
}  # fmt: skip
BATCHES = {"cuda": (1, 8, 32, 128), "cpu": (1, 2)}
LEAST = 32  # the bar is about batches from here on


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json also write the figures, with --plot draw them."""
    return carry_out(_parser(), arguments, _work)


def _work(args: argparse.Namespace) -> None:
    check_options(args)
    if args.clock == "cpu" and args.device != "cpu":
        raise UsageError("--clock cpu counts this process's time, and a GPU's work is none of it")
    for name, least in (("repeats", args.repeats), ("batches", min(args.batches or [1]))):
        if least < 1:
            raise UsageError(f"--{name} must be >= 1, got {least}")
    check_plot(args.plot)
    results, peak, missing = _run(args)
    print(report(results))
    if args.plot:
        draw(results, args.plot, f"{device_text(args.device)}, peak {peak.text}")
    if args.json:
        write_json(args.json, {
            **headline(results), "device": device_text(args.device), "peak": asdict(peak),
            "results": [asdict(result) for result in results], "not_measured": missing, "threads": args.threads,
        })  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python benchmarks/gpu.py", description="Engines against the card's peak.")
    add = parser.add_argument
    add("--device", choices=ROWS, default="cuda", help="default: %(default)s")
    add("--networks", nargs="+", choices=NETWORKS, default=["sdtc-s", "sdtc-b"], help="default: sdtc-s sdtc-b")
    add("--batches", nargs="+", type=int, metavar="N", help="people at once (default: 1 8 32 128; on a CPU 1 2)")
    add("--engines", nargs="+", metavar="ROW", help=f"rows to measure (default: {' '.join(ROWS['cuda'])})")
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    add("--repeats", type=int, default=20, help="calls whose median counts (default: %(default)s)")
    add("--size", type=parse_size, default=(1280, 720), help="WIDTHxHEIGHT of the pipeline's frames")
    add("--threads", type=int, default=0, help="of torch and ONNX Runtime on a CPU (default: their own choice)")
    add("--clock", choices=CLOCKS, default="wall", help="cpu: with --device cpu --threads 1 on a busy machine")
    add("--profile", action="store_true", help="also list torch's longest kernels in the first torch row's encoder")
    add("--plot", type=Path, metavar="FILE", help="draw the shares to this PNG file")
    add("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return parser


def _run(args: argparse.Namespace) -> tuple[list[Result], Any, dict[str, str]]:
    """All rows of all networks, the peak, and why a row was not measured, by 'network row'."""
    try:
        import torch

        from benchmarks.accelerator.peak import give_back, measure_peak
    except ImportError as error:
        raise UsageError(f"the networks and the peak need torch: install the extra [export] ({error})") from None
    if args.device == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"torch {torch.__version__} finds no GPU here; --device cpu runs the same on the CPU")
    if args.threads:
        torch.set_num_threads(args.threads)
    args.batches = sorted(args.batches or BATCHES[args.device])
    rows = args.engines or ROWS[args.device]
    args.model_name = ", ".join(args.networks)
    print(f"{surroundings(args)}, torch {torch.__version__}\n{device_text(args.device)}", flush=True)
    peak = measure_peak(args.device, CLOCKS[args.clock])
    print(f"fastest matrix product: {peak.text}\n", flush=True)
    results: list[Result] = []
    missing = {}
    for network in args.networks:
        for row in rows:
            try:
                results += measure_row(network, row, args, peak.flops)
            except Exception as error:  # of whatever runtime: the other rows are worth their figures
                lines = str(error).strip().splitlines() or [type(error).__name__]
                missing[f"{network} {row}"] = lines[0][:300]
                print(f"{network}, {row}: not measured: {lines[0][:300]}", flush=True)
            give_back(args.device)
    if not results:
        raise UsageError("no row could be measured")
    return results, peak, missing


def headline(results: list[Result]) -> dict[str, float | str | int]:
    """The figure of the bar: the best share in the largest network's encoder at a batch of LEAST or more."""
    network = results[-1].network
    found = [r for r in results if r.network == network and r.part == PARTS[0]] or results
    largest = max(r.batch for r in found)
    best = max((r for r in found if r.batch >= min(LEAST, largest)), key=lambda r: r.share)
    return {
        "ratio": best.share, "ratio_network": network, "ratio_part": best.part, "ratio_engine": best.engine,
        "ratio_batch": best.batch,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
