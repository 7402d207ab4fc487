# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From sequences to padded arrays: which frames, people and joints of truth and predictions take part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.protocols import Protocol
from sdtc_ros.ground_truth.sequence import Array, Mask, Person, Sequence, SequenceFrame

MISSING_SCORE = -9999.0  # poseval's score of a joint that has none
# COCO's falloff a joint (pycocotools); HiEve's chest, which COCO lacks, takes the shoulder's
_FALLOFF = {"nose": 0.026, "chest": 0.079, "shoulder": 0.079, "elbow": 0.072, "wrist": 0.062, "hip": 0.107,
            "knee": 0.087, "ankle": 0.089}  # fmt: skip


@dataclass
class People:
    """The people of F frames, padded to the N of the fullest frame; padding has present = False.

    xy F x N x K x 2 float64 (image pixels), exists F x N x K bool, present F x N bool, ids F x N int64 (-1: none),
    scores F x N x K float64 (predictions), score F x N float64 (the person's own, 1.0 where it has none),
    unit F x N x K float64 (truth; the length, in pixels, that distances are divided by), area F x N float64 (truth,
    protocols with a similarity), rows: the people themselves by (frame, n).
    """

    xy: Array
    exists: Mask
    present: Mask
    ids: npt.NDArray[np.int64]
    scores: Array
    score: Array
    unit: Array
    area: Array
    rows: dict[tuple[int, int], Person]


def pair_frames(truth: Sequence, predictions: Sequence, protocol: Protocol) -> list[tuple[SequenceFrame, list[Person]]]:
    """The frames of a sequence that count, each with its predicted people.

    They are paired by image name, or by image id where not a single name agrees.

    Raises InputError where the predictions do not list a frame that counts, or truth or
    predictions give one track id to two people.
    """
    by_name = {frame.name: frame for frame in predictions.frames}
    by_id = {frame.id: frame for frame in predictions.frames}
    named = any(frame.name in by_name for frame in truth.frames)
    pairs = []
    for frame in truth.frames:
        if not (frame.labelled if protocol.labelled_frames else frame.people or frame.pointless):
            continue
        predicted = by_name.get(frame.name) if named else by_id.get(frame.id)
        if predicted is None:
            raise InputError(
                f"{_origin(predictions)} lacks the frame {frame.name} (image id {frame.id}) of {_origin(truth)}; "
                "list every frame of the truth among the predictions' images, also those without people"
            )
        for side, sequence in ((frame, truth), (predicted, predictions)):
            ids = [person.track_id for person in side.people if person.track_id is not None]
            if len(set(ids)) < len(ids):
                repeated = next(i for i in ids if ids.count(i) > 1)
                raise InputError(
                    f"{_origin(sequence)}: frame {side.name} gives track id {repeated} to two people; "
                    "a track id must be unique in a frame"
                )
        pairs.append((frame, predicted.people))
    return pairs


def _origin(sequence: Sequence) -> str:
    return str(sequence.path or f"sequence {sequence.name}")


def stack_truth(truth: Sequence, frames: list[SequenceFrame], protocol: Protocol) -> People:
    """The truth of the frames that count; raises InputError where a length to measure distances by is missing."""
    people = _stack([frame.people for frame in frames], protocol)
    for (f, n), person in people.rows.items():
        if not people.exists[f, n].any():
            continue
        box = person.box if protocol.similarity else person.head_box
        if box is None:
            kind = "box" if protocol.similarity else "head box (bbox_head)"
            raise InputError(
                f"{_origin(truth)}: frame {frames[f].name}, person {n} (track id {person.track_id}) has joints but no "
                f"{kind}, which normalises distances; add it or remove the person"
            )
        people.unit[f, n] = 0.6 * np.hypot(box[2], box[3])
        people.area[f, n] = abs(box[2] * box[3])
    if protocol.similarity:
        # half of this unit is the distance at which a joint's similarity exp(-d^2 / (2 area (2 k)^2)) is 0.5
        falloff = 2 * np.array([_FALLOFF[joint.split("_")[-1]] for joint in protocol.skeleton.joints])
        people.unit = 2 * np.sqrt(2 * np.log(2) * people.area)[..., None] * falloff
    return people


def stack_predictions(predictions: list[list[Person]], protocol: Protocol) -> People:
    """The predicted people of the frames that count, in the truth's order of frames."""
    return _stack(predictions, protocol)


def _stack(frames: list[list[Person]], protocol: Protocol) -> People:
    count, most, joints = len(frames), max(map(len, frames), default=0), len(protocol.skeleton)
    rows = {(f, n): person for f, people in enumerate(frames) for n, person in enumerate(people)}
    keypoints = np.zeros((count, most, joints, 3))
    scores = np.full((count, most, joints), MISSING_SCORE)
    ids = np.full((count, most), -1, np.int64)
    present = np.zeros((count, most), bool)
    score = np.ones((count, most))
    for at, person in rows.items():
        keypoints[at], present[at] = person.keypoints, True
        ids[at] = -1 if person.track_id is None else person.track_id
        score[at] = 1.0 if person.score is None else person.score
        if person.joint_scores is not None:
            scores[at] = np.where(np.isnan(person.joint_scores), MISSING_SCORE, person.joint_scores)
    exists: Mask = np.asarray(np.any(keypoints != 0, axis=-1))
    if protocol.positive_joints:
        exists = np.asarray(np.all(keypoints[..., :2] > 0, axis=-1))
    unit, area = np.ones((count, most, joints)), np.ones((count, most))
    return People(keypoints[..., :2], exists, present, ids, scores, score, unit, area, rows)


def apply_ignore_regions(frames: list[SequenceFrame], people: People) -> None:
    """Remove, in place, the joints inside a frame's ignore polygons, then the people of that frame without any left."""
    for f, frame in enumerate(frames):
        polygons = [polygon for polygon in frame.ignore if len(polygon) >= 3]
        if not polygons:
            continue
        for polygon in polygons:
            people.exists[f] &= ~inside(people.xy[f], polygon)
        people.present[f] &= people.exists[f].any(-1)


def inside(points: Array, polygon: Array) -> Mask:
    """Which points (... x 2) lie strictly inside the polygon (M x 2, M >= 3); its boundary is outside, as in poseval.

    Even-odd rule: count the edges crossed by the ray to the right.
    """
    x, y = points[..., 0, None], points[..., 1, None]
    (ax, ay), (bx, by) = polygon.T, np.roll(polygon, -1, axis=0).T
    side = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
    spans = (ay > y) != (by > y)
    crossed = spans & ((side > 0) == (by > ay))
    within = (np.minimum(ax, bx) <= x) & (x <= np.maximum(ax, bx)) & (np.minimum(ay, by) <= y)
    on_edge = (side == 0) & within & (y <= np.maximum(ay, by))
    return (crossed.sum(-1) % 2 == 1) & ~on_edge.any(-1)
