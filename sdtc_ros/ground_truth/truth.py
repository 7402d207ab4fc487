# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The annotations that belong to an input: which annotated frame is which frame, and how accurate the poses are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate import Result, evaluate
from sdtc_ros.ground_truth.hieve import read_hieve_folder
from sdtc_ros.ground_truth.json_input import load_json
from sdtc_ros.ground_truth.posetrack import parse_sequence, read_folder, read_sequence
from sdtc_ros.ground_truth.sequence import Sequence, SequenceFrame
from sdtc_ros.skeleton import HIEVE, Skeleton


@dataclass
class Truth:
    """An annotated sequence and the number, in the input, of each of its frames (by the annotations' image id).

    protocol: by whose rules poses are measured on it: the data set's, as the annotations tell.
    """

    sequence: Sequence
    number_of: dict[int, int]

    @property
    def protocol(self) -> str:
        """One of evaluate's protocols."""
        return "hieve" if self.sequence.skeleton is HIEVE else self.sequence.dataset or "posetrack18"

    def __post_init__(self) -> None:
        """Make the tables the other way round."""
        self._by_name = {PurePosixPath(frame.name).name: frame for frame in self.sequence.frames}
        self._by_name |= {frame.name: frame for frame in self.sequence.frames}
        self._by_number = {self.number_of[frame.id]: frame for frame in self.sequence.frames}

    def frame(self, number: int, name: str) -> SequenceFrame | None:
        """The frame of that name (as a path, or its last part), else of that number in the input."""
        return self._by_name.get(name) or self._by_name.get(PurePosixPath(name).name) or self._by_number.get(number)

    def number(self, number: int, name: str) -> int:
        """The number that the annotations give to the input's frame `number` of that name."""
        frame = self.frame(number, name)
        return number if frame is None else self.number_of[frame.id]


def read_truth(path: Path, input_name: str, skeleton: Skeleton) -> Truth:
    """The annotations of the input `input_name` in a file, or in the folder's file of that name or only file.

    For a model with HiEve's joints the path may also be a video's folder of XML files, or the folder of these folders.
    Raises InputError where there is none, or where several could be meant.
    """
    if skeleton is HIEVE and path.is_dir() and not any(path.glob("*.json")):  # as HiEve is published
        sequences = read_hieve_folder(path / input_name if (path / input_name).is_dir() else path)
    else:
        sequences = read_folder(path, skeleton)
    named = [sequence for sequence in sequences if sequence.name == input_name] or sequences
    if len(named) > 1:
        raise InputError(
            f"{path} has annotations of {len(named)} sequences and none is named {input_name}; name a file"
        )
    return Truth(named[0], _numbers(named[0]))


def _numbers(sequence: Sequence) -> dict[int, int]:
    """Numbers from 0 by image id: those in the file names (PoseTrack17 counts from 1, in 8 digits), else the order."""
    stems = [PurePosixPath(frame.name).stem for frame in sequence.frames]
    if all(stem.isdigit() for stem in stems):
        return {f.id: int(s) - (len(s) == 8) for f, s in zip(sequence.frames, stems, strict=True)}
    return {frame.id: number for number, frame in enumerate(sequence.frames)}


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
            f"none of the {len(annotated)} annotated frames of {truth.sequence.path} is among those replayed, "
            "so there is no accuracy to tell; do the annotations belong to this input?"
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
        whole = read_truth(truth_file, "", skeleton)
        rules.setdefault(protocol or whole.protocol, truth_file)
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
        raise InputError(f"the annotations are of several data sets ({told}); say by --protocol whose rules count")
    result = evaluate(truths, answers, next(iter(rules)))
    return replace(result, warnings=[*out, *result.warnings])


def _paired(truth: Truth, poses_file: Path) -> tuple[Sequence, Sequence]:
    """The annotated frames that a replay answered, and its answers, under the annotations' names and ids."""
    data = load_json(poses_file)
    predictions = parse_sequence(data, poses_file, truth.sequence.skeleton)
    answers = {}
    for image, frame in zip(data["images"], predictions.frames, strict=True):
        known = truth.frame(image.get("number", -1), frame.name)
        if known:
            answers[known.id] = replace(frame, name=known.name, id=known.id)
    frames = [frame for frame in truth.sequence.frames if frame.id in answers]
    name = truth.sequence.name
    return replace(truth.sequence, frames=frames), replace(predictions, name=name, frames=list(answers.values()))
