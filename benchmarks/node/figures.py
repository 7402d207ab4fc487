# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From what was recorded to figures: the node's own words parsed, sums checked, latencies and rates. Knows no ROS."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.node.records import Rows
from sdtc_ros.node.health.statistics import Counts

Latencies = npt.NDArray[np.float64]
CAUSES = {"replaced": "for newer", "too_old": "too old", "unmatched": "without detections", "damaged": "damaged"}
_FIELDS = {words: cause for cause, words in CAUSES.items()} | {"dropped for newer": "replaced"}
_STOPPED = re.compile(r"\]: (?:(?P<camera>[\w/]+): )?stopped: (?P<received>\d+) frames received = (?P<parts>.*)")
_PART = re.compile(r"(-?\d+) ([a-z ]+?)(?: \+ |$)")
_PID = re.compile(r"process started with pid \[(\d+)\]")
OFF_LIMIT = 1.0  # pixels by which a box may differ from the truth of its stamp's frame


def stopped_counts(log: str) -> dict[str, Counts]:
    """The node's last words on every camera ('' for one without a name); raises ValueError where they do not add up."""
    found = {}
    for match in _STOPPED.finditer(log):
        counts = Counts(received=int(match["received"]))
        waiting = 0
        for number, name in _PART.findall(match["parts"].strip()):
            if name == "answered":
                counts.answered = int(number)
            elif name == "waiting":
                waiting = int(number)
            elif name in _FIELDS:
                setattr(counts, _FIELDS[name], int(number))
            else:
                raise ValueError(f"'{name}' is no cause that is known: {match[0]}")
        if counts.waiting != waiting:
            raise ValueError(f"the node's sum does not hold: {match[0]}")
        found[match["camera"] or ""] = counts
    return found


def node_pid(log: str) -> int | None:
    """The process that ros2 launch says it started last."""
    found = _PID.findall(log)
    return int(found[-1]) if found else None


def added(parts: Sequence[Counts]) -> Counts:
    """Several cameras' counts as one."""
    return Counts(*(sum(getattr(part, name) for part in parts) for name in Counts.__dataclass_fields__))


@dataclass(frozen=True)
class Account:
    """Where the frames of a run went, seen from three sides.

    sent: published by the camera; counts: the node's last words; heard: answers that reached the listener; wrong:
    answers with a stamp that was never sent, answered before, not rising, or with boxes of another frame than the
    stamp's; told: what the last diagnostics said (None: there were none).
    """

    sent: int
    counts: Counts
    heard: int
    wrong: int
    told: Counts | None = None

    @property
    def lost(self) -> int:
        """Frames that never reached the node."""
        return self.sent - self.counts.received

    @property
    def complaints(self) -> list[str]:
        """What does not add up, in words."""
        counts, found = self.counts, []
        if counts.waiting:
            found.append(f"{counts.waiting} frames still waited at the end")
        if counts.answered != self.heard:
            found.append(f"{counts.answered} answered, but {self.heard} heard")
        if self.lost < 0:
            found.append(f"{counts.received} received, but {self.sent} sent")
        if self.told is not None and self.told != counts:
            found.append(f"the diagnostics said {self.told.sum()}, the log {counts.sum()}")
        if self.wrong:
            found.append(f"{self.wrong} answers with a wrong stamp")
        return found

    def rows(self) -> list[list[str]]:
        """As rows of a table: what, how many, what part of the frames sent."""
        counts = self.counts
        listed = {
            "published": self.sent, "lost on the way to the node": self.lost, "received by the node": counts.received,
            "answered": counts.answered,
        } | {f"dropped: {words}": getattr(counts, cause) for cause, words in CAUSES.items()}  # fmt: skip
        listed |= {"waiting at the end": counts.waiting, "heard by the listener": self.heard}
        return [[name, f"{n}", f"{100 * n / max(self.sent, 1):.2f} %"] for name, n in listed.items()]

    def figures(self) -> dict[str, Any]:
        """For the JSON file."""
        return {
            **asdict(self.counts), "waiting": self.counts.waiting, "sent": self.sent, "lost": self.lost,
            "heard": self.heard, "wrong_stamps": self.wrong, "complaints": self.complaints,
        }  # fmt: skip


def wrong_answers(sent: Rows, heard: Rows) -> int:
    """How many answers bear a stamp that they should not; boxes are not looked at where `off` is not a number."""
    wrong = 0
    for camera in np.unique(heard["camera"]):
        stamps, own = sent["stamp"][sent["camera"] == camera], heard[heard["camera"] == camera]
        bad = ~np.isin(own["stamp"], stamps) | (own["off"] > OFF_LIMIT)
        bad[1:] |= np.diff(own["stamp"]) <= 0
        wrong += int(bad.sum())
    return wrong


def latencies(heard: Rows) -> Latencies:
    """Seconds from every result's stamp to its receipt."""
    return (heard["received"] - heard["stamp"]) * 1e-9


def percentile_ms(seconds: Latencies, percent: float) -> float:
    """In milliseconds; not a number where there are none."""
    return float(np.percentile(seconds, percent)) * 1e3 if len(seconds) else float("nan")


def rate(moments: npt.NDArray[np.int64]) -> float:
    """Events a second between the first and the last of them (nanoseconds)."""
    if len(moments) < 2:
        return 0.0
    return (len(moments) - 1) / ((int(moments.max()) - int(moments.min())) * 1e-9)


@dataclass(frozen=True)
class Sample:
    """A node's process at a moment (nanoseconds since 1970).

    memory: bytes; cpu: seconds of processor time since it began, all threads together; waited: seconds that its
    threads were ready to run and had no core (of other processes' making, or of its own threads').
    """

    moment: int
    memory: int
    cpu: float
    waited: float = 0.0


def memory_at(samples: Sequence[Sample], seconds: float) -> int:
    """Bytes `seconds` after the first sample, or at the last where there are fewer."""
    later = [sample for sample in samples if sample.moment >= samples[0].moment + seconds * 1e9]
    return (later or samples[-1:])[0].memory


def cpu_ms(samples: Sequence[Sample], frames: int) -> float:
    """Milliseconds of processor time a frame."""
    return (samples[-1].cpu - samples[0].cpu) * 1e3 / max(frames, 1)


def waited_ms(samples: Sequence[Sample], frames: int) -> float:
    """Milliseconds a frame that threads waited for a core; those of threads that have ended are not known."""
    return max(0.0, samples[-1].waited - samples[0].waited) * 1e3 / max(frames, 1)


def span(samples: Sequence[Sample]) -> float:
    """Seconds from the first to the last."""
    return (samples[-1].moment - samples[0].moment) * 1e-9


Status = Mapping[str, Any]  # of /diagnostics: node (name), level, message, values


def camera_statuses(diagnostics: Sequence[Mapping[str, Any]], topic: str) -> list[Status]:
    """The statuses of the camera that is heard on `topic`, as time goes, with the moment of each as `moment`."""
    return [
        {**status, "moment": entry["moment"]}
        for entry in diagnostics
        for status in entry["status"]
        if status["values"].get("image topic") == topic
    ]


def stages_ms(statuses: Sequence[Status]) -> dict[str, float]:
    """Mean milliseconds a frame by stage, over all statuses that tell of answers (each of the last seconds)."""
    busy = [status["values"] for status in statuses if float(status["values"].get("rate out (Hz)", 0)) > 0]
    names = dict.fromkeys(key for values in busy for key in values if key.endswith(" (ms)") and "latency" not in key)
    return {
        name.removesuffix(" (ms)"): float(np.mean([float(values[name]) for values in busy if name in values]))
        for name in names
    }


def status_counts(status: Status) -> Counts:
    """The counts since the start that a camera's status tells."""
    values = status["values"]
    counts = Counts(received=int(values["received"]), answered=int(values["answered"]))
    for cause, words in CAUSES.items():
        setattr(counts, cause, int(values[f"dropped, {words}"]))
    return counts
