# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a split holds and what of it is left out, counted by reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

BROKEN_FILE = "annotations that cannot be read"
NO_FOLDER = "sequences whose images are not there"
UNPLACED = "sequences in which it cannot be told which image is whose"
NO_IMAGE = "annotated frames whose image is not there"
UNREADABLE = "images that do not decode"
LOST_PEOPLE = "people in frames whose image is not there"
UNMARKED = "people in frames that are not marked as labelled"
POINTLESS = "people listed without points"
FEW_JOINTS = "people with too few labelled joints"
NO_BOX = "people whose box has no area"
NO_HEAD = "people without a head box"
UNMEASURED = "people with joints and nothing to measure distances by, whom validation's AP leaves out"
DAMAGE = (BROKEN_FILE, NO_FOLDER, UNPLACED, NO_IMAGE, UNREADABLE)


@dataclass
class Summary:
    """Counts over one split.

    frames: images that are there; people: annotated in labelled frames; samples: people that give a window; tracks:
    track ids, sequence by sequence; joints: labelled ones of all people, by the skeleton's order of `names`, and how
    many of them are occluded. irregular: sequences by what is unusual about their frames' names (training.data.frames).
    skipped: how often for which reason, with the first example in `examples`.
    """

    dataset: str
    split: str
    names: tuple[str, ...]
    sequences: int = 0
    single_frames: int = 0
    frames: int = 0
    labelled_frames: int = 0
    people: int = 0
    samples: int = 0
    tracks: int = 0
    joints: npt.NDArray[np.int64] = field(init=False)
    occluded: npt.NDArray[np.int64] = field(init=False)
    irregular: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.joints, self.occluded = (np.zeros(len(self.names), np.int64) for _ in range(2))

    def skip(self, reason: str, example: str, count: int = 1) -> None:
        """Count what is left out for `reason`; the first example is kept."""
        if count:
            self.skipped[reason] += count
            self.examples.setdefault(reason, example)

    @property
    def damaged(self) -> bool:
        """Whether files are broken or missing (people who cannot be used are no damage)."""
        return any(self.skipped[reason] for reason in DAMAGE)

    def headline(self) -> str:
        """One line, for the log of a training."""
        left_out = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
        return (
            f"{self.dataset} {self.split}: {self.samples} windows of {self.people} people ({self.tracks} tracks) in "
            f"{self.labelled_frames} labelled of {self.frames} frames, {self.sequences} sequences"
            + (f"; left out: {left_out}" if left_out else "")
        )

    def lines(self) -> list[str]:
        """A page, for `python -m training.data check`."""
        single = f" ({self.single_frames} of a single frame, which fills its window)" if self.single_frames else ""
        width = max(map(len, self.names))
        rows = zip(self.names, self.joints.tolist(), self.occluded.tolist(), strict=True)
        lines = [
            f"{self.dataset}, split {self.split}",
            f"  sequences  {self.sequences}{single}",
            f"  frames     {self.frames}, of which {self.labelled_frames} labelled",
            f"  people     {self.people} in labelled frames, {self.tracks} tracks, {self.samples} windows",
            "  labelled joints (of which occluded)",
            *(f"    {name:<{width}}  {count:>9}  ({occluded})" for name, count, occluded in rows),
        ]
        lines += [f"    {count:>9}  {kind}" for kind, count in self.irregular.items()]
        if self.skipped:
            lines.append("  left out")
            lines += [
                f"    {count:>9}  {reason}, first: {self.examples[reason]}" for reason, count in self.skipped.items()
            ]
        return lines
