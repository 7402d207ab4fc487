# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Cost against people, cameras, span and model size, and what machines carry: `python benchmarks/scale.py`.

- measured: processor time of a step (a frame of every camera, all people in one batch, tracking included) on one
  thread, encoder and temporal graph apart, and of the host with an engine that does nothing; a linear model is fitted
  to it (`--plot` draws both);
- from the fit: how many people one core of this machine carries at 30 frames a second;
- by arithmetic, from published peaks: what one H200 and the Orins would carry. Nothing of that is measured, and
  `--quick`, which measures too little for it, leaves it out;
- a simulated node under load (`--load-plot`), checked against the measured one of docs/live.md;
- what images and poses weigh on a network.

`ratio` of the JSON file is foretold by measured cost of the load that is farthest off when every load in turn is left
out of the fit; `error` is the median distance. Needs the extra [export]: the networks have random weights.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:  # so that `python benchmarks/scale.py` finds the packages beside it
    sys.path.insert(0, str(ROOT))

from benchmarks.measure import Recorder, carry_out  # noqa: E402
from benchmarks.models import TINY, random_bundle  # noqa: E402
from benchmarks.node import clip as node_clip  # noqa: E402
from benchmarks.plots import check_plot  # noqa: E402
from benchmarks.report import surroundings, table, write_json  # noqa: E402
from benchmarks.scaling.figures import plot_costs, plot_load  # noqa: E402
from benchmarks.scaling.fit import Costs, fit  # noqa: E402
from benchmarks.scaling.host import HostSample, Nothing, host_loads, measure_host  # noqa: E402
from benchmarks.scaling.links import measure_links, report_links  # noqa: E402
from benchmarks.scaling.load import Outcome, Setting, simulate  # noqa: E402
from benchmarks.scaling.machines import ENCODES, people_on_cpu, rows_on_gpu  # noqa: E402
from benchmarks.scaling.samples import ENCODE, ESTIMATE, Sample, grid, measure_loads  # noqa: E402
from sdtc_ros.errors import UsageError  # noqa: E402
from sdtc_ros.models.bundle import default_bundle, load_bundle  # noqa: E402
from sdtc_ros.pipeline.pipeline import Pipeline, PipelineConfig  # noqa: E402
from sdtc_ros.types import Boxes, Frame  # noqa: E402

CAMERAS, PEOPLE = (1, 2, 4), (1, 2, 3, 4, 6, 8)
# docs/live.md: soak, 2 people (answered, p50, p99); cost: the stages without inference, and the way there and back
SOAK = {"people": 2, "answered": 0.9469, "p50": 0.118, "p99": 0.171, "sticky": 0.1, "way": 0.0101 - 0.0027}


def report_samples(samples: Sequence[Sample], costs: Costs) -> str:
    """Every load, measured and foretold by a fit without it."""
    header = ["network, delta", "cameras x people", "encodes a person", "encode, ms", "estimate, ms", "whole, ms",
              "foretold, ms", "off"]  # fmt: skip
    cells = []
    for s, ratio in zip(samples, costs.ratios, strict=True):
        parts = [f"{1e3 * s.seconds[part]:.2f}" for part in (ENCODE, ESTIMATE)]
        told = ["-", "-"] if math.isnan(ratio) else [f"{1e3 * ratio * s.whole:.1f}", f"{100 * (ratio - 1):+.0f} %"]
        cells.append([
            f"{s.load.network}, {s.load.delta}", f"{s.load.cameras} x {s.load.people}",
            f"{s.encodes / s.windows:.2f}", *parts, f"{1e3 * s.whole:.1f}", *told,
        ])  # fmt: skip
    return table(header, cells)


def report_costs(costs: Costs, samples: Sequence[Sample]) -> str:
    """The fitted constants."""
    rows = [
        ["host, a batch", f"{1e3 * costs.batch:.3f} ms"],
        ["host, a camera's frame", f"{1e3 * costs.camera:.3f} ms"],
        ["host, a person", f"{1e3 * costs.person:.3f} ms"],
        ["host, a crop of 96x128 / 192x256", f"{1e3 * costs.pixel * 12288:.3f} / {1e3 * costs.pixel * 49152:.3f} ms"],
    ]
    macs = {s.load.network: s.macs for s in samples if s.load.delta == 2}
    for (network, part), rate in costs.rates.items():
        call = 1e3 * costs.calls[network, part]
        what = f"{network}, {part} ({macs[network][part] / 1e9:.2f} GMAC)"
        rows.append([what, f"{rate / 1e9:.1f} GMAC a second, {call:.2f} ms a call"])
    error = (
        f"The host's fit is off by {100 * costs.host_error:.0f} % in the median. Loads left out of the fit are "
        f"foretold to {100 * costs.error:.1f} % in the median, {100 * (costs.worst - 1):+.0f} % at worst."
    )
    return table(["fitted", "value"], rows) + "\n\n" + error


def report_cpu(costs: Costs, samples: Sequence[Sample], encodes: float) -> str:
    """What a core of this machine carries."""
    rows = []
    for network, s in {s.load.network: s for s in samples if s.load.delta == 2}.items():
        people = [people_on_cpu(costs, network, s.macs, s.crop_pixels, count, encodes) for count in CAMERAS]
        one = costs.step(network, s.macs, s.crop_pixels, 1, 1, encodes)
        rows.append([network, *(f"{number}" for number in people), f"{1 / one:.1f}"])
    header = ["people of all cameras together", *(f"{count} camera{'s' * (count > 1)}" for count in CAMERAS)]
    return table([*header, "frames a second of one person"], rows)


def simulated(costs: Costs, sample: Sample, encodes: float) -> dict[tuple[int, int], Outcome]:
    """A node on one core with the small model, by cameras and people."""
    service = partial(_service, costs, sample)
    return {
        (cameras, people): simulate(Setting(cameras, people, encodes), service)
        for cameras in CAMERAS
        for people in PEOPLE
    }


def _service(costs: Costs, sample: Sample, cameras: int, people: int, encodes: int) -> float:
    return costs.step(sample.load.network, sample.macs, sample.crop_pixels, cameras, people, encodes)


def check_soak(costs: Costs, sample: Sample) -> tuple[str, dict[str, Any]]:
    """The measured ten minutes of docs/live.md beside the simulation of the same load."""
    people = int(SOAK["people"])
    encodes = _soak_encodes(people)
    found = simulate(Setting(1, people, encodes, seconds=600, way=SOAK["way"]), partial(_service, costs, sample))
    known = Outcome(SOAK["answered"], SOAK["p50"], SOAK["p99"])
    rows = [
        [name, f"{100 * one.answered:.1f} %", f"{1e3 * one.p50:.0f}", f"{1e3 * one.p99:.0f}"]
        for name, one in (("measured (docs/live.md)", known), ("simulated", found))
    ]
    text = table(["30 Hz, 2 people, one thread", "answered", "p50, ms", "p99, ms"], rows)
    return f"{text}\n\n{encodes:.2f} encodes a person-frame", {
        "encodes": encodes,
        "simulated": asdict(found),
        "measured": SOAK,
    }


def _soak_encodes(people: int) -> float:
    """Encodes a person and frame of the soak's own clip, by the boxes alone: no network runs."""
    bundle = load_bundle(default_bundle())
    recorder = Recorder(Nothing(len(bundle.skeleton)))
    pipeline = Pipeline(bundle, recorder, PipelineConfig(sticky=SOAK["sticky"]))
    with tempfile.TemporaryDirectory(prefix="sdtc_ros-scale-") as folder:
        node_clip.render(Path(folder) / "clip", (640, 480), people, 30.0)
        clip = node_clip.load(Path(folder) / "clip")
        for count in range(240):
            number = clip.number(count)
            boxes = Boxes(clip.boxes[number], np.ones(people, np.float32), np.arange(people))
            pipeline.process(Frame(np.asarray(clip.images[number]), count * 33_333_333), boxes)
    return recorder.encoded / (people * 240)


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; with --json, --plot and --load-plot also write figures and curves."""
    parser = argparse.ArgumentParser(prog="python benchmarks/scale.py", description="Cost against load, and capacity.")
    parser.add_argument("--frames", type=int, default=8, help="frames measured a load (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a few small loads, the small network only")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the costs and their fit (PNG)")
    parser.add_argument("--load-plot", type=Path, metavar="FILE", help="draw the simulated node (PNG)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    return carry_out(parser, arguments, _work)


def _work(args: argparse.Namespace) -> None:
    for path in (args.plot, args.load_plot):
        check_plot(path)
    if args.frames < 1:
        raise UsageError(f"--frames must be at least 1, not {args.frames}")
    args.threads, args.clock, args.model_name = 1, "cpu", "random weights"
    print(surroundings(args) + "\n", flush=True)
    samples, hosts = _measured(args.quick, args.frames)
    costs = fit(samples, hosts)
    small = next(s for s in samples if s.load.network == TINY and s.load.delta == 2)
    outcomes = simulated(costs, small, ENCODES)
    check, checked = check_soak(costs, small)
    links = measure_links(load_bundle(default_bundle()).skeleton)
    condition = f"At {ENCODES:.2f} encodes a person-frame, people at 30 frames a second on one core:"
    parts = [
        report_samples(samples, costs),
        report_costs(costs, samples),
        condition,
        report_cpu(costs, samples, ENCODES),
    ]
    gpu = [] if args.quick else _gpu(costs, samples)
    if gpu:
        parts.append(report_gpu(gpu))
    print("\n\n".join([*parts, check, report_links(links)]))
    if args.plot:
        plot_costs(samples, costs, args.plot)
    if args.load_plot:
        plot_load(outcomes, args.load_plot)
    if args.json:
        more = {"gpu": gpu, "soak": checked, "links": [asdict(link) for link in links]}
        write_json(args.json, _content(samples, hosts, costs, outcomes) | more)


def _measured(quick: bool, frames: int) -> tuple[list[Sample], list[HostSample]]:
    """All loads; the host's with the crop of every size that the networks have."""
    samples: list[Sample] = []
    wanted = grid(quick)
    for (network, delta), loads in wanted.items():
        samples += measure_loads(network, delta, loads, frames)
    hosts: list[HostSample] = []
    for network in {s.crop_pixels: s.load.network for s in reversed(samples)}.values():
        hosts += measure_host(random_bundle(network), host_loads(quick), 3 * frames)
    return samples, hosts


def _gpu(costs: Costs, samples: Sequence[Sample]) -> list[list[str]]:
    return rows_on_gpu(costs, {s.load.network: s.macs for s in samples if s.load.delta == 2}, CAMERAS, ENCODES)


def report_gpu(rows: Sequence[Sequence[str]]) -> str:
    """What other machines would carry."""
    cameras = (f"{count} camera{'s' * (count > 1)}" for count in CAMERAS)
    return table(["machine (arithmetic, not measured)", "network", "peak, TFLOPS", *cameras], rows)


def _content(
    samples: Sequence[Sample], hosts: Sequence[HostSample], costs: Costs, outcomes: dict[tuple[int, int], Outcome]
) -> dict[str, Any]:
    return {
        "ratio": costs.worst, "error": costs.error, "ratios": costs.ratios, "encodes": ENCODES,
        "host_seconds": {name: getattr(costs, name) for name in ("batch", "camera", "person", "pixel")},
        "host_error": costs.host_error,
        "rates": {f"{network} {part}": rate for (network, part), rate in costs.rates.items()},
        "calls": {f"{network} {part}": call for (network, part), call in costs.calls.items()},
        "samples": [asdict(sample) for sample in samples], "hosts": [asdict(host) for host in hosts],
        "load": [{"cameras": c, "people": p, **asdict(found)} for (c, p), found in outcomes.items()],
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
