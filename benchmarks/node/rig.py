# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Camera, detector, listener and one or several nodes: started, stopped and read alike for every measurement."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.node.clip import render
from benchmarks.node.figures import (
    Account,
    Status,
    added,
    camera_statuses,
    status_counts,
    stopped_counts,
    wrong_answers,
)
from benchmarks.node.lab import Lab, NodePart, Part
from benchmarks.node.records import HEARD, SENT, Rows, read_rows
from sdtc_ros.errors import InputError
from sdtc_ros.node.health.statistics import Counts
from sdtc_ros.options import TOPIC

FLUSH_SECONDS = 20.0  # for the frames that wait at the end, which the node answers when no more come


@dataclass(frozen=True)
class Setting:
    """What a measurement is made on.

    size: width and height; hz: of each camera; bundle: the model's folder; detector: as the node's parameter; lookahead
    and threads likewise; phase: of a period, by which each camera follows another.
    """

    size: tuple[int, int]
    hz: float
    people: int
    bundle: Path
    detector: str = TOPIC
    lookahead: int = -1
    threads: int = 0
    phase: float = 0.0


class Rig:
    """The processes of one measurement in a folder of their own; `groups` names the cameras of every node."""

    def __init__(self, lab: Lab, name: str, setting: Setting, groups: Sequence[Sequence[str]] = (("front",),)) -> None:
        self.lab, self.setting, self.groups = lab, setting, groups
        self.names = [name for group in groups for name in group]
        self.nodes: list[NodePart] = []
        self.peers: dict[str, Part] = {}
        self._folder = lab.folder / name
        self._folder.mkdir()
        # named after what it shows: measurements of one size share it
        self._clip = lab.folder / f"{setting.size[0]}x{setting.size[1]}-{setting.people}-{setting.hz:g}"
        if not self._clip.with_suffix(".npz").exists():
            render(self._clip, setting.size, setting.people, setting.hz)

    def start(self) -> None:
        """The nodes, then what answers and listens to them; frames come from `start_camera` on."""
        for group in self.groups:
            self.nodes.append(self.start_node(group))
        if self.setting.detector == TOPIC:
            self.start_detector()
        checked = ["--true-boxes"] if self.setting.detector == TOPIC else []
        self._peer("listener", "--diagnostics", self._folder / "diagnostics", *checked)

    def start_node(self, group: Sequence[str]) -> NodePart:
        """Launch one node for the cameras of a group."""
        setting, several = self.setting, len(group) > 1
        name = "{camera}" if several else group[0]
        topics = {
            "image": f"/{name}/image_raw", "detections": f"/{name}/detections", "poses": f"/{name}/poses",
            "annotated": f"/{name}/annotated",
        }  # fmt: skip
        return self.lab.node(
            len(group), **topics, cameras=f"[{', '.join(group)}]" if several else "", name=f"sdtc_{'_'.join(group)}",
            bundle=setting.bundle, detector=setting.detector, lookahead=setting.lookahead, threads=setting.threads,
        )  # fmt: skip

    def start_detector(self) -> Part:
        """The process that answers the camera with boxes."""
        return self._peer("detector")

    def start_camera(self) -> Part:
        """Let frames come; it is ready when it sends the first."""
        extra = ["--detector"] if self.setting.detector == TOPIC else []
        return self._peer("camera", "--hz", self.setting.hz, "--phase", self.setting.phase, *extra)

    def start_viewer(self, compressed: bool) -> Part:
        """Somebody who looks at the first camera's annotated images."""
        extra = ["--compressed"] if compressed else []
        return self._peer("viewer", "--topic", f"/{self.names[0]}/annotated", *extra)

    def _peer(self, role: str, *words: object) -> Part:
        common = ["--out", self._folder / role, "--clip", self._clip, "--names", *self.names]
        self.peers[role] = self.lab.peer(role, *common, *words)
        return self.peers[role]

    def stop(self) -> None:
        """End the camera, wait for what is still to be answered, end the nodes with Ctrl-C, and all others."""
        self.peers["camera"].interrupt()
        deadline = time.monotonic() + FLUSH_SECONDS
        ended = time.time_ns()
        while not self._settled(ended) and time.monotonic() < deadline:
            time.sleep(0.2)
        for node in self.nodes:
            node.interrupt()
        for part in self.peers.values():
            if part.alive:
                part.interrupt()

    def _settled(self, since: int) -> bool:
        """Whether every camera's status of the last seconds says that nothing waits."""
        diagnostics = [entry for entry in self.diagnostics() if entry["moment"] > since + 1e9]
        newest = [statuses[-1] for name in self.names if (statuses := self._statuses(diagnostics, name))]
        return len(newest) == len(self.names) and all(status["values"].get("waiting") == "0" for status in newest)

    def _statuses(self, diagnostics: Sequence[Any], name: str) -> list[Status]:
        return camera_statuses(diagnostics, f"/{name}/image_raw")

    def statuses(self, name: str, begin: int = 0, end: int = 2**63 - 1) -> list[Status]:
        """The diagnostics of a camera that came between two moments (nanoseconds)."""
        return [one for one in self._statuses(self.diagnostics(), name) if begin <= one["moment"] <= end]

    def diagnostics(self) -> list[Any]:
        """All diagnostic messages so far."""
        path = self._folder / "diagnostics"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def sent(self) -> Rows:
        """SENT: what the camera published so far."""
        return read_rows(self._folder / "camera", SENT)

    @property
    def detected(self) -> Rows:
        """SENT: the frames whose boxes the detector published so far."""
        return read_rows(self._folder / "detector", SENT)

    @property
    def heard(self) -> Rows:
        """HEARD: the results that came so far."""
        return read_rows(self._folder / "listener", HEARD)

    @property
    def viewed(self) -> Rows:
        """SENT: the annotated images that came so far."""
        return read_rows(self._folder / "viewer", SENT)

    def counts(self) -> dict[str, Counts]:
        """What the nodes said of every camera when they were stopped; raises InputError where one said nothing."""
        found: dict[str, Counts] = {}
        for group, node in zip(self.groups, self.nodes, strict=True):
            own = stopped_counts(node.log)
            if len(own) != len(group):
                raise node.failure("did not say what became of its frames")
            found |= own if len(group) > 1 else {group[0]: own[""]}
        return found

    def account(self) -> Account:
        """Where all frames went, once `stop` was called and the nodes had lived all the time."""
        try:
            counts = added(list(self.counts().values()))
        except ValueError as error:
            raise InputError(str(error)) from None
        newest = [statuses[-1] for name in self.names if (statuses := self.statuses(name))]
        told = added([status_counts(status) for status in newest]) if len(newest) == len(self.names) else None
        return Account(len(self.sent), counts, len(self.heard), wrong_answers(self.sent, self.heard), told)


def between(rows: Rows, field: str, begin: int, end: int) -> Rows:
    """The rows whose `field` lies in begin <= field < end."""
    return rows[(rows[field] >= begin) & (rows[field] < end)]


def each_camera(rows: Rows, count: int) -> list[Rows]:
    """Rows by camera."""
    return [rows[np.asarray(rows["camera"]) == number] for number in range(count)]
