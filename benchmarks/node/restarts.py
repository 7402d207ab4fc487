# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Under load, the camera, the detector and the node are killed (-9) and started again: when do poses flow again?

One node lives through all deaths of camera and detector and must account for every frame; then it is the node's turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.node.figures import Account, stopped_counts, wrong_answers
from benchmarks.node.lab import Lab
from benchmarks.node.rig import Rig, Setting
from benchmarks.report import table
from sdtc_ros.errors import InputError

LOAD_SECONDS = 4.0  # of undisturbed frames before each death
TIMEOUT = 60.0
CAMERA, DETECTOR, NODE = "camera", "detector", "node"


@dataclass(frozen=True)
class Death:
    """One kill -9. Seconds from it until the process was back, and until poses of frames stamped since were heard.

    back: the camera's with its first frame, the detector's with its first boxes, the node's when it waits for images.
    before, after: bytes of the node, before the kill and some seconds after poses flowed again (0: it was killed).
    """

    who: str
    back: float
    poses: float
    before: int
    after: int


@dataclass(frozen=True)
class Restarts:
    """All deaths; account: of the node that lived through those of camera and detector."""

    deaths: list[Death]
    account: Account
    wrong: int  # answers with a wrong stamp, in the node's own deaths
    last: list[str]  # what does not add up of the last node

    def of(self, who: str) -> list[Death]:
        """The deaths of one of them."""
        return [death for death in self.deaths if death.who == who]

    @property
    def growth(self) -> dict[str, int]:
        """Bytes by which the node's memory grew from after the first death to after the last, by who died."""
        return {who: self.of(who)[-1].after - self.of(who)[0].after for who in (CAMERA, DETECTOR)}

    @property
    def complaints(self) -> list[str]:
        """What does not add up, in words."""
        wrong = [f"{self.wrong} answers with a wrong stamp around the node's deaths"] if self.wrong else []
        return [*self.account.complaints, *wrong, *self.last]

    def figures(self) -> dict[str, Any]:
        """For the JSON file; `ratio` is the node's own part of the slowest return: 1 - back / poses."""
        slowest = max(self.deaths, key=lambda death: death.poses)
        return {
            "ratio": 1 - slowest.back / slowest.poses, "deaths": [asdict(death) for death in self.deaths],
            "growth_bytes": self.growth, "account": self.account.figures(), "wrong_stamps": self.wrong,
        }  # fmt: skip


def measure(lab: Lab, setting: Setting, times: int) -> Restarts:
    """Kill each of them so often."""
    rig = Rig(lab, "restarts", setting)
    rig.start()
    rig.start_camera()
    deaths = [_death(lab, rig, CAMERA, rig.start_camera) for _ in range(times)]
    deaths += [_death(lab, rig, DETECTOR, rig.start_detector) for _ in range(times)]
    rig.stop()
    account = rig.account()

    other = Rig(lab, "restarts-node", setting)
    other.start()
    other.start_camera()
    deaths += [_death(lab, other, NODE, lambda: _new_node(other)) for _ in range(times)]
    lab.watch(LOAD_SECONDS)
    other.stop()
    return Restarts(deaths, account, wrong_answers(other.sent, other.heard), _unaccounted(other))


def _new_node(rig: Rig) -> None:
    rig.nodes = [rig.start_node(rig.groups[0])]


def _death(lab: Lab, rig: Rig, who: str, again: Callable[[], object]) -> Death:
    """Some seconds of load, kill -9, start again, wait for poses of frames sent since; then some more seconds."""
    lab.watch(LOAD_SECONDS)
    node = rig.nodes[0]
    before = node.sample().memory
    if who == NODE:
        node.kill_node()
    else:
        rig.peers[who].kill()
    killed = time.time_ns()  # a frame stamped later cannot be answered without what was killed
    again()
    back = time.time_ns()
    poses = _first_answer(rig, killed)
    if who == NODE:
        node.ended()
    if who != NODE:  # it is back with the first frame that it sent, or sent the boxes of
        stamps = (rig.sent if who == CAMERA else rig.detected)["stamp"]
        back = int(stamps[stamps > killed].min())
    lab.watch(LOAD_SECONDS / 2)
    after = 0 if who == NODE else node.sample().memory
    return Death(who, (back - killed) * 1e-9, (poses - killed) * 1e-9, before, after)


def _first_answer(rig: Rig, since: int) -> int:
    """When the first pose of a frame stamped after `since` was heard; raises InputError where none is."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        heard = rig.heard
        if len(found := heard[heard["stamp"] > since]):
            return int(found["received"].min())
        time.sleep(0.05)
    raise InputError(f"no poses came within {TIMEOUT:g} s after a restart")


def _unaccounted(rig: Rig) -> list[str]:
    """Whether the last node's answers are those that were heard of it."""
    try:
        counts = stopped_counts(rig.nodes[0].log)[""]
    except (ValueError, KeyError) as error:
        return [f"the last node's sum: {error}"]
    return [f"{counts.waiting} frames still waited at the last node's end"] if counts.waiting else []


def report(found: Restarts) -> str:
    """A Markdown table, and what became of the frames."""
    header = ["killed", "times", "until it is back, s", "until poses flow, s", "longest",
              "the node's memory after the first, after the last, MB"]  # fmt: skip
    rows = []
    for who in (CAMERA, DETECTOR, NODE):
        own = found.of(who)
        memory = "a new one" if who == NODE else f"{own[0].after / 1e6:.1f}, {own[-1].after / 1e6:.1f}"
        back, poses = (statistics.median(getattr(one, name) for one in own) for name in ("back", "poses"))
        longest = max(one.poses for one in own)
        rows.append([who, str(len(own)), f"{back:.2f}", f"{poses:.2f}", f"{longest:.2f}", memory])
    frames = table(["frames, camera's and detector's deaths", "count", "of those published"], found.account.rows())
    return f"{table(header, rows)}\n\n{frames}\n\nanswers with a wrong stamp: {found.account.wrong + found.wrong}"
