# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Two cameras in one node, which batches their people, against a node for each: rates, latency, processor, memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.node.figures import Account, cpu_ms, latencies, percentile_ms, rate
from benchmarks.node.lab import Lab
from benchmarks.node.rig import Rig, Setting, between, each_camera
from benchmarks.report import table

NAMES = ("front", "rear")
TOGETHER, APART = ("one node", (NAMES,)), ("two nodes", ((NAMES[0],), (NAMES[1],)))
PHASES = ((0.0, "at the same time"), (0.5, "half a period apart"))


@dataclass(frozen=True)
class Run:
    """One arrangement; rates and latencies by camera, processor time and memory of all nodes together."""

    nodes: str
    phase: str
    rates: list[float]
    latency_p50: list[float]  # ms, stamp to receipt
    latency_p99: list[float]
    cpu_ms: float  # an answered frame
    memory: int  # bytes
    account: Account


def measure(lab: Lab, setting: Setting, seconds: float) -> list[Run]:
    """Both arrangements, with cameras that fire together and in turn."""
    return [
        _run(lab, replace(setting, phase=phase), seconds, nodes, words, groups)
        for phase, words in PHASES
        for nodes, groups in (TOGETHER, APART)
    ]


def _run(
    lab: Lab, setting: Setting, seconds: float, nodes: str, phase: str, groups: tuple[tuple[str, ...], ...]
) -> Run:
    rig = Rig(lab, f"cameras-{len(groups)}-{setting.phase:g}", setting, groups)
    rig.start()
    rig.start_camera()
    lab.watch(2.0)
    samples = lab.watch(seconds, rig.nodes)
    begin, end = samples[0][0].moment, samples[0][-1].moment
    rig.stop()
    heard = between(rig.heard, "received", begin, end)
    each = each_camera(heard, len(NAMES))
    return Run(
        nodes, phase, [rate(one["received"]) for one in each],
        [percentile_ms(latencies(one), 50) for one in each], [percentile_ms(latencies(one), 99) for one in each],
        sum(cpu_ms(own, len(heard)) for own in samples), sum(own[-1].memory for own in samples),
        rig.account(),
    )  # fmt: skip


def report(runs: list[Run]) -> str:
    """A Markdown table."""
    header = ["", "the cameras fire", "answers a second", "latency p50, ms", "p99, ms", "processor time a frame, ms",
              "memory, MB", "answered of published"]  # fmt: skip
    rows = [
        [run.nodes, run.phase, _pair(run.rates), _pair(run.latency_p50), _pair(run.latency_p99), f"{run.cpu_ms:.1f}",
         f"{run.memory / 1e6:.0f}", f"{100 * run.account.counts.answered / max(run.account.sent, 1):.1f} %"]
        for run in runs
    ]  # fmt: skip
    return table(header, rows)


def _pair(values: list[float]) -> str:
    return " and ".join(f"{value:.1f}" for value in values)


def figures(runs: list[Run]) -> dict[str, Any]:
    """For the JSON file; `ratio` is one node's processor time a frame by that of two, cameras firing together."""
    return {
        "ratio": runs[0].cpu_ms / runs[1].cpu_ms,
        "ratio_memory": runs[0].memory / runs[1].memory,
        "runs": [{**vars(run), "account": run.account.figures()} for run in runs],
    }
