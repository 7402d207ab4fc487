# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What an evaluation found: numbers by joint and group, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.protocols import Protocol
from sdtc_ros.ground_truth.sequence import Array
from sdtc_ros.whole_file import write_whole

ByJoint = dict[str, float]


@dataclass(frozen=True)
class Subset:
    """Accuracy on the truth joints of a kind.

    joints: how many; recall: percent of all that the matched prediction hits; pck: the same among the joints of people
    who were matched at all, so that missed people do not count.
    """

    joints: int
    recall: float
    pck: float


@dataclass(frozen=True)
class Result:
    """All figures in percent, by joint name plus `total` (mean over the joints that have a figure).

    motp is poseval's (see tracking.py), clear_motp the plain one; both and mota are None without track ids. subsets:
    accuracy by kind of joint ("occluded", "not occluded", ...) where the truth tells kinds. poses: pose AP of the HiEve
    protocol, by name ("AP@50", ..., "w_AP@avg"). counts: what was compared. ap_range: the lowest and highest total AP
    that an order of the equal scores can give.
    """

    protocol: Protocol
    ap: ByJoint
    precision: ByJoint
    recall: ByJoint
    mota: ByJoint | None
    motp: ByJoint | None
    clear_motp: ByJoint | None
    subsets: dict[str, Subset]
    poses: dict[str, float]
    counts: dict[str, int]
    ap_range: tuple[float, float]
    warnings: list[str] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, ByJoint]:
        """The papers' columns (Head, Shoulder, ..., Ankle, Mean = total) of ap and, where there are tracks, of mota."""
        tables = {"ap": self.ap} | ({"mota": self.mota} if self.mota is not None else {})
        return {name: self._grouped(values) for name, values in tables.items()}

    def _grouped(self, values: ByJoint) -> ByJoint:
        joints = self.protocol.skeleton.joints
        columns = {
            title: mean([values[joints[i]] for i in members]) for title, members in self.protocol.skeleton.groups
        }
        return columns | {"Mean": values["total"]}

    def table(self) -> str:
        """Several lines of text: the grouped table, the totals, and what there is of pose AP and subsets."""
        groups = self.groups
        titles = list(groups["ap"])
        rows = [["", *titles]]
        rows += [[name.upper(), *(_cell(values[title]) for title in titles)] for name, values in groups.items()]
        lines = ["  ".join(cell.rjust(max(8 if i else 4, len(cell))) for i, cell in enumerate(row)) for row in rows]
        totals = {"precision": self.precision, "recall": self.recall, "MOTA": self.mota, "MOTP": self.motp}
        lines.append("  ".join(f"{name} {_cell(v['total'])}" for name, v in totals.items() if v is not None))
        if self.mota is None:
            lines.append("no MOTA: there are not two frames in a row, or people have no track ids")
        if self.poses:
            lines.append("  ".join(f"{name} {_cell(value)}" for name, value in self.poses.items()))
        lines += [
            f"{name} joints: {s.joints}, recall {_cell(s.recall)}, PCK {_cell(s.pck)}"
            for name, s in self.subsets.items()
        ]
        counts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in self.counts.items())
        return "\n".join([*lines, f"{self.protocol.name}: {counts}"])

    def to_json(self) -> dict[str, Any]:
        """A plain dict for json.dump; a figure that does not exist is null."""
        figures = {name: getattr(self, name) for name in ("ap", "precision", "recall", "mota", "motp", "clear_motp")}
        return _without_nan(
            {"protocol": self.protocol.name, **figures, "groups": self.groups}
            | ({"poses": self.poses} if self.poses else {})
            | {"subsets": {name: vars(subset) for name, subset in self.subsets.items()}}
            | {"counts": self.counts, "ap_range": list(self.ap_range), "warnings": self.warnings}
        )


def by_joint(values: Array, joints: tuple[str, ...]) -> ByJoint:
    """K values to a dict by joint name, with `total`, the mean of those that are not NaN (poseval's total)."""
    return {joint: float(value) for joint, value in zip(joints, values, strict=True)} | {"total": mean(list(values))}


def mean(values: list[float]) -> float:
    """The mean of the values that are not NaN, or NaN."""
    known = [float(value) for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _cell(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.1f}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def write_json(result: Result, path: Path) -> None:
    """Write the result's figures; the file appears whole or not at all. Raises InputError if it cannot be written."""
    write_figures(result.to_json(), path)


def write_figures(figures: dict[str, Any], path: Path) -> None:
    """Write any figures so."""
    try:
        write_whole(path, json.dumps(figures, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror or error}") from error
