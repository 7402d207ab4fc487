# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Minutes of frames from a real camera process: rates, where every frame went, latency, memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.node.figures import Account, Sample, cpu_ms, latencies, memory_at, percentile_ms, rate, span, waited_ms
from benchmarks.node.lab import Lab
from benchmarks.node.records import Rows
from benchmarks.node.rig import Rig, Setting
from benchmarks.report import table
from sdtc_ros.errors import UsageError

EARLY = 60.0  # seconds after which memory is looked at for the first time
BIN = 5.0  # seconds of a point in the plot


@dataclass(frozen=True)
class Soak:
    """One long run; memory in bytes, latencies in seconds."""

    account: Account
    sent: Rows
    heard: Rows
    samples: list[Sample]
    early: float  # seconds after which `memory_early` was taken

    @property
    def rates(self) -> dict[str, float]:
        """Frames a second, as long as the camera sent."""
        seconds = max((int(self.sent["stamp"].max()) - int(self.sent["stamp"].min())) * 1e-9, 1e-9)
        published = rate(self.sent["stamp"])
        part = published * seconds / max(self.account.sent, 1)  # of a frame each
        received, answered = self.account.counts.received, self.account.counts.answered
        return {"published": published, "in": received * part / seconds, "out": answered * part / seconds}

    @property
    def latency_ms(self) -> dict[str, float]:
        """Stamp to receipt."""
        found = latencies(self.heard)
        return {f"p{percent:g}": percentile_ms(found, percent) for percent in (50, 90, 99, 100)}

    @property
    def memory(self) -> tuple[int, int]:
        """Early and at the end."""
        return memory_at(self.samples, self.early), self.samples[-1].memory

    @property
    def cpu_ms(self) -> dict[str, float]:
        """Processor time of the node an answered frame, and how long its threads waited for a core."""
        return {"used": cpu_ms(self.samples, len(self.heard)), "waited for": waited_ms(self.samples, len(self.heard))}

    def figures(self) -> dict[str, Any]:
        """For the JSON file; `ratio` is the part of the frames sent that was answered."""
        early, late = self.memory
        return {
            "ratio": self.account.counts.answered / max(self.account.sent, 1), "account": self.account.figures(),
            "rates_hz": self.rates, "latency_ms": self.latency_ms, "cpu_ms_a_frame": self.cpu_ms,
            "memory_bytes": {f"after {self.early:.0f} s": early, "at the end": late},
            "seconds": span(self.samples),
            "people_a_frame": float(self.heard["people"].mean()) if len(self.heard) else 0.0,
        }  # fmt: skip


def measure(lab: Lab, setting: Setting, seconds: float) -> Soak:
    """Run for so long; raises InputError where a process ends or says nothing."""
    rig = Rig(lab, "soak", setting)
    rig.start()
    rig.start_camera()
    (samples,) = lab.watch(seconds, rig.nodes)
    rig.stop()
    return Soak(rig.account(), rig.sent, rig.heard, samples, min(EARLY, seconds / 2))


def report(soak: Soak) -> str:
    """Where the frames went, and the other figures, as two Markdown tables."""
    rates, latency = soak.rates, soak.latency_ms
    early, late = (f"{memory / 1e6:.1f} MB" for memory in soak.memory)
    rows = [
        ["rate published", f"{rates['published']:.2f} Hz"], ["rate in", f"{rates['in']:.2f} Hz"],
        ["rate out", f"{rates['out']:.2f} Hz"],
        *([f"latency {name}, stamp to receipt", f"{value:.1f} ms"] for name, value in latency.items()),
        [f"memory of the node after {soak.early:.0f} s", early], ["at the end", late],
        *([f"processor time of the node an answered frame, {how}", f"{ms:.1f} ms"] for how, ms in soak.cpu_ms.items()),
    ]  # fmt: skip
    return table(["frames", "count", "of those published"], soak.account.rows()) + "\n\n" + table(["", "value"], rows)


def plot(soak: Soak, path: Path) -> None:
    """Latency, rates and memory over time, as a PNG; raises UsageError where matplotlib is missing."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(f"--plot draws with matplotlib ({error})") from None
    begin = int(soak.sent["stamp"].min())
    received = (soak.heard["received"] - begin) * 1e-9
    end = (int(soak.sent["stamp"].max()) - begin) * 1e-9
    edges = np.arange(0.0, max(end, BIN) + 1e-9, BIN if end >= 12 * BIN else max(end / 12, 0.5))
    figure = Figure(figsize=(9, 8), layout="constrained")
    upper, middle, lower = figure.subplots(3, 1, sharex=True)
    values = latencies(soak.heard) * 1e3
    upper.plot(received, values, ".", color="0.8", markersize=1.5, label="every answer")
    binned = np.digitize(received, edges) - 1
    for percent, style in ((50, "-"), (99, "--")):
        own = [values[binned == i] for i in range(len(edges) - 1)]
        line = [np.percentile(some, percent) if len(some) else np.nan for some in own]
        # zorder: above the dots, which matplotlib draws after stairs
        upper.stairs(line, edges, linestyle=style, baseline=None, linewidth=1.5, label=f"p{percent}", zorder=3)
    upper.set(ylabel="stamp to receipt, ms", ylim=(0, None))
    upper.legend(loc="upper right", ncols=3)
    for name, moments in (("published", (soak.sent["stamp"] - begin) * 1e-9), ("answered", received)):
        middle.stairs(np.histogram(moments, edges)[0] / np.diff(edges), edges, baseline=None, linewidth=1.5, label=name)
    middle.set(ylabel="frames a second", ylim=(0, None))
    middle.legend(loc="lower right", ncols=2)
    lower.plot([(s.moment - begin) * 1e-9 for s in soak.samples], [s.memory / 1e6 for s in soak.samples])
    lower.set(ylabel="memory of the node, MB", xlabel="seconds", ylim=(0, None))
    figure.savefig(path, dpi=100)
