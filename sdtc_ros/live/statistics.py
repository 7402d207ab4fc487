# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What became of a camera's frames, counted, and one period's figures in a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class Counts:
    """What became of the frames received.

    replaced: a newer frame came before the worker was free; too_old: older than max_age; damaged: no image that could
    be understood; answered: keyframes whose poses were handed on; people: poses in all of them; restarts: how often
    the stamps went back; unmatched: no detections came for it (where those come from outside); taken: let into the
    pipeline, answered or not yet.
    """

    received: int = 0
    replaced: int = 0
    too_old: int = 0
    damaged: int = 0
    answered: int = 0
    people: int = 0
    restarts: int = 0
    unmatched: int = 0
    taken: int = 0

    @property
    def waiting(self) -> int:
        """Frames received of which nothing has become yet."""
        return self.received - self.replaced - self.too_old - self.damaged - self.unmatched - self.answered

    def since(self, earlier: Counts) -> Counts:
        """What was counted after `earlier`."""
        return Counts(*(getattr(self, name) - getattr(earlier, name) for name in self.__dataclass_fields__))

    def sum(self) -> str:
        """Where all frames went, as a sum that holds."""
        unmatched = f"{self.unmatched} without detections + " if self.unmatched else ""
        return (
            f"{self.received} frames received = {self.answered} answered + {self.replaced} dropped for newer + "
            f"{self.too_old} too old + {unmatched}{self.damaged} damaged + {self.waiting} waiting"
        )


@dataclass(frozen=True)
class Report:
    """One period's figures: its length in seconds, its counts, and seconds each.

    latency: from the keyframe's stamp until its poses were handed on, by the node's clock; busy: work on a frame.
    """

    seconds: float
    counts: Counts
    latency: tuple[float, ...]
    busy: tuple[float, ...]

    def line(self) -> str:
        """The figures in one line of text."""
        counts, seconds = self.counts, max(self.seconds, 1e-9)
        rates = f"in {counts.received / seconds:.1f} Hz, out {counts.answered / seconds:.1f} Hz"
        dropped = f"dropped {counts.replaced} for newer, {counts.too_old} too old, {counts.damaged} damaged"
        if counts.unmatched:
            dropped += f", {counts.unmatched} without detections"
        if not self.latency or not self.busy:
            return f"{rates}, {dropped}"
        return (
            f"{rates}, {dropped}, latency p50 {1e3 * quantile(self.latency, 0.5):.0f} ms "
            f"p99 {1e3 * quantile(self.latency, 0.99):.0f} ms, work p50 {1e3 * quantile(self.busy, 0.5):.1f} ms, "
            f"{counts.people / max(counts.answered, 1):.1f} people a frame"
        )


def quantile(values: Iterable[float], part: float) -> float:
    """The value below which `part` of the values lie, the nearest that occurs; there must be one at least."""
    ordered = sorted(values)
    return ordered[round(part * (len(ordered) - 1))]
