# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The annotations that belong to an input: which annotated frame is which frame of it."""

from __future__ import annotations

from collections.abc import Sequence as Names
from dataclasses import dataclass, field
from pathlib import Path

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.frame_names import place_frames
from sdtc_ros.ground_truth.hieve import read_hieve_folder
from sdtc_ros.ground_truth.posetrack import read_folder
from sdtc_ros.ground_truth.sequence import Sequence, SequenceFrame, check_sizes
from sdtc_ros.skeleton import HIEVE, Skeleton


@dataclass
class Truth:
    """An annotated sequence and where its frames lie in an input, by the annotations' image id.

    number_of: a frame's number, stamp_of: its stamp (nanoseconds), where the annotations say one or the other;
    protocol: by whose rules poses are measured on it: the data set's, as the annotations tell.
    """

    sequence: Sequence
    number_of: dict[int, int]
    stamp_of: dict[int, int] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        """One of evaluate's protocols."""
        return "hieve" if self.sequence.skeleton is HIEVE else self.sequence.dataset or "posetrack18"

    def __post_init__(self) -> None:
        """Make the tables the other way round."""
        frames = {frame.id: frame for frame in self.sequence.frames}
        self._by_number = {number: frames[i] for i, number in self.number_of.items()}
        self._by_stamp = {stamp: frames[i] for i, stamp in self.stamp_of.items()}

    def frame(self, number: int, stamp: int = 0) -> SequenceFrame | None:
        """The frame of that stamp, else of that number in the input."""
        return self._by_stamp.get(stamp) or self._by_number.get(number)

    def absent(self, replayed: set[int], start: int, stop: float) -> int:
        """How many annotated frames were not replayed (image ids), though of a number from `start` to before `stop`."""
        return sum(
            bool(frame.people) and frame.id not in replayed and start <= self.number_of.get(frame.id, start) < stop
            for frame in self.sequence.frames
        )


def read_truth(
    path: Path,
    input_name: str,
    skeleton: Skeleton,
    images: Names | None = None,
    count: int | None = None,
    size: tuple[int, int] | None = None,
) -> Truth:
    """The annotations of the input `input_name` in a file, or in the folder's file of that name or only file.

    skeleton: the model's; annotations of other joints keep their own. images: the input's file names by number, where
    its frames have names; count: its length, size: its images' (width, height), where known. The path may also be a
    HiEve video's folder of XML files, or the folder of these folders. Raises InputError where there is none, where
    several could be meant, or where it cannot be told which frame is which, or the annotations are of images of
    another size.
    """
    sequence = one_sequence(path, input_name, skeleton)
    check_sizes([frame.size for frame in sequence.frames], size, sequence.path or path)
    return place(sequence, images, count)


def one_sequence(path: Path, input_name: str, skeleton: Skeleton) -> Sequence:
    """The sequence that `read_truth` reads, with its own joints; raises InputError as that does."""
    no_json = path.is_dir() and not without_apple_double(path.glob("*.json"))
    if no_json and (skeleton is HIEVE or any(path.rglob("*.xml"))):  # as HiEve is published
        sequences = read_hieve_folder(path / input_name if (path / input_name).is_dir() else path)
    else:
        sequences = read_folder(path, skeleton, own=True)
    named = [sequence for sequence in sequences if sequence.name == input_name] or sequences
    if len(named) > 1:
        raise InputError(
            f"{path} has annotations of {len(named)} sequences and none is named {input_name}; give the file itself"
        )
    return named[0]


def place(sequence: Sequence, images: Names | None, count: int | None) -> Truth:
    """The truth of an input: its frames are found as `place_frames` says; raises InputError as that does."""
    frames, what = sequence.frames, str(sequence.path or f"sequence {sequence.name}")
    if not frames:
        raise InputError(f"{what} lists no images")
    places = place_frames([frame.name for frame in frames], [frame.id for frame in frames], images, count, what)
    numbers = {f.id: number for f, number in zip(frames, places.numbers, strict=True) if number is not None}
    stamps = {f.id: stamp for f, stamp in zip(frames, places.stamps, strict=True) if stamp is not None}
    return Truth(sequence, numbers, stamps)
