# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Plots of cost and load."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.plots import new_figure
from benchmarks.scaling.fit import Costs
from benchmarks.scaling.load import Outcome
from benchmarks.scaling.samples import Sample

COLOURS = {"sdtc-tiny": "tab:blue", "sdtc-s": "tab:orange", "sdtc-b": "tab:green"}
MARKS = {0: "v", 1: "s", 2: "o", 3: "^"}  # by span


def plot_costs(samples: Sequence[Sample], costs: Costs, path: Path) -> None:
    """What a step costs against its people, with the fit, and how far loads left out of it are off, as a PNG."""
    figure = new_figure(11, 4.4)
    left, right = figure.subplots(1, 2)
    foretold = {s.load: ratio for s, ratio in zip(samples, costs.ratios, strict=True)}
    for network, colour in COLOURS.items():
        own = [s for s in samples if s.load.network == network]
        if not own:
            continue
        line = sorted((s for s in own if s.load.delta == 2 and s.load.cameras == 1), key=lambda s: s.windows)
        left.plot(
            [s.windows for s in line], [1e3 * costs.of(s) for s in line], color=colour, label=f"{network}, fitted"
        )
        for s in own:
            mark = {"color": colour, "marker": MARKS[s.load.delta], "markersize": 4 + s.load.cameras, "alpha": 0.7}
            left.plot([s.windows], [1e3 * s.whole], **mark)
            right.plot([1e3 * s.whole], [100 * (foretold[s.load] - 1)], **mark)
    for delta, marker in MARKS.items():
        left.plot([], [], marker, color="0.4", label=f"delta {delta}")
    left.axhline(1e3 / 30, color="0.7", linewidth=0.8)
    left.set(xscale="log", yscale="log", xlabel="people of all cameras (larger marks: more cameras)",
             ylabel="a step, ms of processor time")  # fmt: skip
    left.legend(fontsize=8)
    right.axhline(0, color="0.7", linewidth=0.8)
    right.set(xscale="log", xlabel="a step as measured, ms", ylabel="foretold without it against measured, %")
    figure.savefig(path, dpi=100)


def plot_load(outcomes: dict[tuple[int, int], Outcome], path: Path) -> None:
    """Answered share and latency of the simulated node against people, a line a number of cameras, as a PNG."""
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    for cameras in dict.fromkeys(cameras for cameras, _ in outcomes):
        own = {people: found for (count, people), found in outcomes.items() if count == cameras}
        label = f"{cameras} camera{'s' * (cameras > 1)}"
        left.plot(list(own), [100 * one.answered for one in own.values()], "o-", label=label)
        (line,) = right.plot(list(own), [1e3 * one.p50 for one in own.values()], "o-", label=f"{label}, p50")
        right.plot(list(own), [1e3 * one.p99 for one in own.values()], "--", color=line.get_color())
    left.set(xlabel="people before each camera", ylabel="frames answered, %", ylim=(0, 105))
    right.set(xlabel="people before each camera", ylabel="stamp to answer, ms (dashed: p99)", ylim=(0, None))
    left.legend()
    figure.savefig(path, dpi=100)
