# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""How accurate a replay's poses are: its JSON file against the annotations of its input, or many of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.core import evaluate
from sdtc_ros.evaluate.protocols import Protocol, protocol_by_name
from sdtc_ros.evaluate.result import Result
from sdtc_ros.ground_truth.json_input import load_json
from sdtc_ros.ground_truth.posetrack import parse_sequence, read_sequence, skeleton_of
from sdtc_ros.ground_truth.sequence import Sequence
from sdtc_ros.ground_truth.truth import Truth, one_sequence, place
from sdtc_ros.skeleton import Skeleton, shared_joints


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
    predictions = read_sequence(poses_file, truth.sequence.skeleton, own=True)
    result = evaluate_shared(
        [replace(truth.sequence, frames=kept)],
        [replace(predictions, name=truth.sequence.name)],
        protocol_by_name(protocol or truth.protocol),
    )
    return Accuracy(result, count, len(annotated))


def evaluate_shared(
    truths: list[Sequence],
    predictions: list[Sequence],
    protocol: Protocol,
    ties: Literal["stable", "poseval"] = "stable",
) -> Result:
    """`evaluate`, by the joints that annotations and poses share; a warning names those that are left out.

    truths, predictions: one at least of each, all of one skeleton a side. Raises as `evaluate`.
    """
    annotated, shared = truths[0].skeleton, shared_joints(truths[0].skeleton, predictions[0].skeleton)
    predictions = [one.with_joints_of(shared) for one in predictions]
    if shared is annotated or protocol.skeleton is not annotated:
        return evaluate(truths, predictions, protocol, ties)
    truths = [one.with_joints_of(shared) for one in truths]
    result = evaluate(truths, predictions, replace(protocol, skeleton=shared), ties)
    out = ", ".join(joint for joint in annotated.joints if joint not in shared.joints)
    known = f"{len(shared)} joints that the model has of the {len(annotated)} annotated ones"
    said = f"measured on the {known}, without {out}"
    return replace(result, warnings=[said, *result.warnings])


def measure_together(files: Iterable[tuple[Path, Path]], skeleton: Skeleton, protocol: str | None = None) -> Result:
    """Evaluate many replays at once: pairs of an annotation file and the JSON file of the poses.

    As for one alone, the annotated frames that were replayed count; a replay without such frames is left out with a
    warning. Whether the replay had the annotations, and so their frames' names, does not matter. protocol as in
    `measure`. Raises InputError where nothing is left, or where the annotations are of data sets with other rules.
    """
    truths, results, out, rules = [], [], list[str](), dict[str, Path]()
    for truth_file, poses_file in files:
        whole = one_sequence(truth_file, "", skeleton)
        rules.setdefault(protocol or Truth(whole, {}).protocol, truth_file)
        truth, predictions = _paired(whole, poses_file)
        if any(frame.people for frame in truth.frames):
            truths.append(truth)
            results.append(predictions)
        else:
            out.append(f"{poses_file} has none of the annotated frames of {truth_file} and is left out")
    if not truths:
        raise InputError("; ".join(out))
    if len(rules) > 1:
        told = ", ".join(f"{file} of {name}" for name, file in rules.items())
        raise InputError(f"the annotations are of several data sets ({told}); choose the rules with --protocol")
    result = evaluate_shared(truths, results, protocol_by_name(next(iter(rules))))
    return replace(result, warnings=[*out, *result.warnings])


def _paired(truth: Sequence, poses_file: Path) -> tuple[Sequence, Sequence]:
    """The annotated frames that a replay processed, and its results, under the annotations' names and ids."""
    data = load_json(poses_file)
    predictions = parse_sequence(data, poses_file, skeleton_of(data, truth.skeleton))
    names = {frame.name: frame for frame in truth.frames}
    numbers = [image.get("number", -1) for image in data["images"]]
    stamps = [image.get("stamp", 0) for image in data["images"]]
    if any(frame.name in names for frame in predictions.frames):  # the replay had the annotations
        known = [names.get(frame.name) for frame in predictions.frames]
    else:
        placed = place(truth, _image_names(predictions, numbers), max(numbers, default=-1) + 1)
        known = [placed.frame(number, stamp) for number, stamp in zip(numbers, stamps, strict=True)]
    found = {
        frame.id: replace(frame_poses, name=frame.name, id=frame.id)
        for frame, frame_poses in zip(known, predictions.frames, strict=True)
        if frame is not None
    }
    frames = [frame for frame in truth.frames if frame.id in found]
    return replace(truth, frames=frames), replace(predictions, name=truth.name, frames=list(found.values()))


def _image_names(predictions: Sequence, numbers: list[int]) -> list[str] | None:
    """The images' names by number; None where a replay called its frames by their numbers."""
    if all(frame.name.endswith(f"/{n:06d}.jpg") for frame, n in zip(predictions.frames, numbers, strict=True)):
        return None
    names = {n: frame.name for frame, n in zip(predictions.frames, numbers, strict=True)}
    return [names.get(n, "") for n in range(max(names, default=-1) + 1)]
