# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The annotations that belong to an input: which annotated frame is which frame, and how accurate the poses are."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as Names
from dataclasses import dataclass, field, replace
from pathlib import Path

from sdtc_ros.companions import without_companions
from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import Result, evaluate
from sdtc_ros.ground_truth.frame_names import place_frames
from sdtc_ros.ground_truth.hieve import read_hieve_folder
from sdtc_ros.ground_truth.json_input import load_json
from sdtc_ros.ground_truth.posetrack import parse_sequence, read_folder, read_sequence
from sdtc_ros.ground_truth.sequence import Sequence, SequenceFrame
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
    path: Path, input_name: str, skeleton: Skeleton, pictures: Names | None = None, count: int | None = None
) -> Truth:
    """The annotations of the input `input_name` in a file, or in the folder's file of that name or only file.

    pictures: the input's file names by number, where its frames have names; count: its length, where known. For a
    model with HiEve's joints the path may also be a video's folder of XML files, or the folder of these folders. Raises
    InputError where there is none, where several could be meant, or where it cannot be told which frame is which.
    """
    return place(_one_sequence(path, input_name, skeleton), pictures, count)


def _one_sequence(path: Path, input_name: str, skeleton: Skeleton) -> Sequence:
    if skeleton is HIEVE and path.is_dir() and not without_companions(path.glob("*.json")):  # as HiEve is published
        sequences = read_hieve_folder(path / input_name if (path / input_name).is_dir() else path)
    else:
        sequences = read_folder(path, skeleton)
    named = [sequence for sequence in sequences if sequence.name == input_name] or sequences
    if len(named) > 1:
        raise InputError(
            f"{path} has annotations of {len(named)} sequences and none is named {input_name}; give the file itself"
        )
    return named[0]


def place(sequence: Sequence, pictures: Names | None, count: int | None) -> Truth:
    """The truth of an input: its frames are found as `place_frames` says; raises InputError as that does."""
    frames, what = sequence.frames, str(sequence.path or f"sequence {sequence.name}")
    if not frames:
        raise InputError(f"{what} lists no images")
    places = place_frames([frame.name for frame in frames], [frame.id for frame in frames], pictures, count, what)
    numbers = {f.id: number for f, number in zip(frames, places.numbers, strict=True) if number is not None}
    stamps = {f.id: stamp for f, stamp in zip(frames, places.stamps, strict=True) if stamp is not None}
    return Truth(sequence, numbers, stamps)


@dataclass(frozen=True)
class Accuracy:
    """Figures against the truth, and how many of the truth's annotated frames were replayed."""

    result: Result
    replayed: int
    annotated: int


def measure(truth: Truth, poses_file: Path, replayed: set[int], protocol: str | None = None) -> Accuracy:
    """Evaluate the written poses on the annotated frames that were replayed (by image id).

    protocol: one of evaluate's, in place of the truth's own.
    Raises InputError where there is no such frame.
    """
    annotated = [frame for frame in truth.sequence.frames if frame.people]
    kept = [frame for frame in truth.sequence.frames if frame.id in replayed]
    count = sum(frame.id in replayed for frame in annotated)
    if not count:
        raise InputError(
            f"none of the {len(annotated)} annotated frames of {truth.sequence.path} was replayed, "
            "so no accuracy can be computed; do the annotations belong to this input?"
        )
    predictions = read_sequence(poses_file, truth.sequence.skeleton)
    result = evaluate(
        [replace(truth.sequence, frames=kept)],
        [replace(predictions, name=truth.sequence.name)],
        protocol or truth.protocol,
    )
    return Accuracy(result, count, len(annotated))


def measure_together(files: Iterable[tuple[Path, Path]], skeleton: Skeleton, protocol: str | None = None) -> Result:
    """Evaluate many replays at once: pairs of an annotation file and the JSON file of the poses.

    As for one alone, the annotated frames that were replayed count; a replay without such frames is left out with a
    warning. Whether the replay had the annotations, and so their frames' names, does not matter. protocol as in
    `measure`. Raises InputError where nothing is left, or where the annotations are of data sets with other rules.
    """
    truths, answers, out, rules = [], [], list[str](), dict[str, Path]()
    for truth_file, poses_file in files:
        whole = _one_sequence(truth_file, "", skeleton)
        rules.setdefault(protocol or Truth(whole, {}).protocol, truth_file)
        truth, predictions = _paired(whole, poses_file)
        if any(frame.people for frame in truth.frames):
            truths.append(truth)
            answers.append(predictions)
        else:
            out.append(f"{poses_file} has none of the annotated frames of {truth_file} and is left out")
    if not truths:
        raise InputError("; ".join(out))
    if len(rules) > 1:
        told = ", ".join(f"{file} of {name}" for name, file in rules.items())
        raise InputError(f"the annotations are of several data sets ({told}); choose the rules with --protocol")
    result = evaluate(truths, answers, next(iter(rules)))
    return replace(result, warnings=[*out, *result.warnings])


def _paired(truth: Sequence, poses_file: Path) -> tuple[Sequence, Sequence]:
    """The annotated frames that a replay answered, and its answers, under the annotations' names and ids."""
    data = load_json(poses_file)
    predictions = parse_sequence(data, poses_file, truth.skeleton)
    names = {frame.name: frame for frame in truth.frames}
    numbers = [image.get("number", -1) for image in data["images"]]
    stamps = [image.get("stamp", 0) for image in data["images"]]
    if any(frame.name in names for frame in predictions.frames):  # the replay had the annotations
        known = [names.get(frame.name) for frame in predictions.frames]
    else:
        placed = place(truth, _pictures(predictions, numbers), max(numbers, default=-1) + 1)
        known = [placed.frame(number, stamp) for number, stamp in zip(numbers, stamps, strict=True)]
    answers = {
        frame.id: replace(answer, name=frame.name, id=frame.id)
        for frame, answer in zip(known, predictions.frames, strict=True)
        if frame is not None
    }
    frames = [frame for frame in truth.frames if frame.id in answers]
    return replace(truth, frames=frames), replace(predictions, name=truth.name, frames=list(answers.values()))


def _pictures(predictions: Sequence, numbers: list[int]) -> list[str] | None:
    """The pictures' names by number; None where a replay called its frames by their numbers."""
    if all(frame.name.endswith(f"/{n:06d}.jpg") for frame, n in zip(predictions.frames, numbers, strict=True)):
        return None
    names = {n: frame.name for frame, n in zip(predictions.frames, numbers, strict=True)}
    return [names.get(n, "") for n in range(max(names, default=-1) + 1)]
