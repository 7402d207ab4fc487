# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a frame costs the node beside inference: processor time of its process, wall time by stage, latency.

One node a scene; while it runs, nobody looks at the annotated image, then somebody at the raw one, then at the JPEG.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.node.figures import Account, cpu_ms, latencies, percentile_ms, rate, span, stages_ms, waited_ms
from benchmarks.node.lab import Lab
from benchmarks.node.light_bundle import write_light_bundle
from benchmarks.node.rig import Rig, Setting, between
from benchmarks.report import table
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.node.health.statistics import WINDOW

SCENES = (((640, 480), 30.0), ((1920, 1080), 10.0))  # the larger one slower: images alone are 62 MB a second
PLAIN, RAW, JPEG = "nobody", "somebody, raw", "somebody, JPEG"
INFERENCE = ("encode", "estimate")  # stages; the detector is another process
IDLE_SECONDS = 4.0


@dataclass(frozen=True)
class Row:
    """One scene with one kind of viewer; times in milliseconds a frame answered."""

    viewer: str
    answered: int
    viewed: int
    rate: float  # answers a second
    cpu: float
    waited: float  # that threads were ready and had no core
    latency: float  # median, stamp to receipt
    stages: dict[str, float]

    @property
    def inference(self) -> float:
        """Wall time of encoder and temporal graph."""
        return sum(self.stages.get(stage, 0.0) for stage in INFERENCE)

    @property
    def own(self) -> float:
        """Wall time of all other stages."""
        return sum(self.stages.values()) - self.inference


@dataclass(frozen=True)
class Scene:
    """One size of images; idle: milliseconds of processor time a second before the first frame came."""

    size: tuple[int, int]
    hz: float
    idle: float
    rows: list[Row]
    account: Account

    @property
    def title(self) -> str:
        """'640x480 at 30 Hz'."""
        return f"{self.size[0]}x{self.size[1]} at {self.hz:g} Hz"


def light_bundle(folder: Path) -> Bundle:
    """The bundle whose inference is next to nothing."""
    return write_light_bundle(folder)


def measure(lab: Lab, setting: Setting, scenes: list[tuple[tuple[int, int], float]], seconds: float) -> list[Scene]:
    """Each scene with each kind of viewer, `seconds` each."""
    return [_scene(lab, replace(setting, size=size, hz=hz), seconds) for size, hz in scenes]


def _scene(lab: Lab, setting: Setting, seconds: float) -> Scene:
    rig = Rig(lab, f"cost-{setting.size[0]}", setting)
    rig.start()
    (idle,) = lab.watch(IDLE_SECONDS, rig.nodes)
    rig.start_camera()
    rows = []
    for viewer in (PLAIN, RAW, JPEG):
        part = None if viewer == PLAIN else rig.start_viewer(compressed=viewer == JPEG)
        rows.append(_row(lab, rig, viewer, seconds))
        if part is not None:
            part.interrupt()
    rig.stop()
    return Scene(setting.size, setting.hz, cpu_ms(idle, 1) / span(idle), rows, rig.account())


def _row(lab: Lab, rig: Rig, viewer: str, seconds: float) -> Row:
    lab.watch(WINDOW)  # the diagnostics are of so many seconds, and none of them may be of the viewer before
    (samples,) = lab.watch(seconds, rig.nodes)
    begin, end = samples[0].moment, samples[-1].moment
    heard = between(rig.heard, "received", begin, end)
    answered = len(heard)
    return Row(
        viewer=viewer,
        answered=answered,
        viewed=0 if viewer == PLAIN else len(between(rig.viewed, "stamp", begin, end)),
        rate=rate(heard["received"]),
        cpu=cpu_ms(samples, answered),
        waited=waited_ms(samples, answered),
        latency=percentile_ms(latencies(heard), 50),
        stages=stages_ms(rig.statuses(rig.names[0], begin, end)),
    )


def report(scenes: list[Scene]) -> str:
    """Cost by viewer, and stages, as two Markdown tables."""
    header = ["images", "annotated image seen by", "answers a second", "seen a second", "processor time a frame, ms",
              "waited for a core, ms", "stamp to receipt p50, ms"]  # fmt: skip
    rows = [
        [s.title, r.viewer, f"{r.rate:.1f}", f"{r.viewed / max(r.answered, 1) * r.rate:.1f}", f"{r.cpu:.2f}",
         f"{r.waited:.2f}", f"{r.latency:.1f}"]
        for s in scenes for r in s.rows
    ]  # fmt: skip
    plain = [scene.rows[0] for scene in scenes]
    names = dict.fromkeys(stage for row in plain for stage in row.stages)
    stages = [[name, *(f"{row.stages.get(name, 0.0):.2f}" for row in plain)] for name in names]
    stages += [
        ["**all but inference**", *(f"**{row.own:.2f}**" for row in plain)],
        ["processor time, ms a second, while no frames come", *(f"{scene.idle:.1f}" for scene in scenes)],
    ]
    title = ["stage, wall time, ms a frame (nobody looks)", *(scene.title for scene in scenes)]
    return table(header, rows) + "\n\n" + table(title, stages)


def figures(scenes: list[Scene]) -> dict[str, Any]:
    """For the JSON file; `ratio` is the processor time with a viewer by that without, in the first scene."""
    plain, raw = scenes[0].rows[:2]
    return {
        "ratio": raw.cpu / plain.cpu,
        "scenes": [
            {"size": scene.size, "hz": scene.hz, "idle_cpu_ms_a_second": scene.idle, "account": scene.account.figures(),
             "rows": [{**asdict(row), "own": row.own, "inference": row.inference} for row in scene.rows]}
            for scene in scenes
        ],
    }  # fmt: skip
