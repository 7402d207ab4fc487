# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Writing PoseTrack18/21 JSON: annotations, and prediction files that poseval and PoseTrack21's toolkit accept."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.posetrack import POSETRACK_SLOTS
from sdtc_ros.ground_truth.sequence import Array, Person, Sequence, SequenceFrame
from sdtc_ros.skeleton import POSETRACK, Skeleton
from sdtc_ros.types import FramePoses

_MAX_TRACK_ID = 10000  # poseval refuses track ids from here on


def sequence_from_poses(
    name: str, poses: list[FramePoses], truth: Sequence | None = None, skeleton: Skeleton = POSETRACK
) -> Sequence:
    """A pipeline's output as a sequence of predictions.

    With `truth`, the result has exactly its frames (names, ids), and each output belongs to the frame that
    Frame.name names (the whole path or its file name); outputs without a name are taken to be the truth's frames in
    order. Without `truth`, frames are numbered from 0 and keep their name or get NAME/000000.jpg. Raises InputError
    where a name is not among the truth's, or two outputs are of one frame.
    """
    frames = [_plain_frame(name, i, output) for i, output in enumerate(poses)]
    if truth is not None:
        frames = [SequenceFrame(frame.name, frame.id, frame.labelled) for frame in truth.frames]
        lookup = {frame.name: i for i, frame in enumerate(frames)}
        lookup |= {PurePosixPath(frame.name).name: i for i, frame in enumerate(frames)}
        taken: set[int] = set()
        for i, output in enumerate(poses):
            at = _position(output.frame.name, i, lookup, truth)
            if at in taken:
                raise InputError(f"sequence {name}: two of the poses' frames are {frames[at].name}")
            taken.add(at)
            frames[at].people = _people(output, skeleton)
    else:
        for frame, output in zip(frames, poses, strict=True):
            frame.people = _people(output, skeleton)
    return Sequence(truth.name if truth is not None else name, frames, skeleton)


def _plain_frame(name: str, number: int, output: FramePoses) -> SequenceFrame:
    return SequenceFrame(output.frame.name or f"{name}/{number:06d}.jpg", number, True)


def _position(frame_name: str, number: int, lookup: dict[str, int], truth: Sequence) -> int:
    if not frame_name:
        if number >= len(truth.frames):
            raise InputError(f"there are more frames with poses than the {len(truth.frames)} of sequence {truth.name}")
        return number
    for key in (frame_name, PurePosixPath(frame_name).name):
        if key in lookup:
            return lookup[key]
    raise InputError(f"the frame {frame_name} is not among those of sequence {truth.name}")


def _people(output: FramePoses, skeleton: Skeleton) -> list[Person]:
    people = []
    for pose in output.poses:
        if len(pose.keypoints) != len(skeleton):
            raise InputError(
                f"poses have {len(pose.keypoints)} joints; the {skeleton.name} skeleton has {len(skeleton)}"
            )
        keypoints = pose.keypoints.astype(np.float64)
        scores = pose.joint_scores.astype(np.float64)
        keypoints[:, 2] = 1.0
        people.append(Person(keypoints, pose.track_id, pose.box.astype(np.float64), None, float(pose.score), scores))
    return people


def sequence_to_json(sequence: Sequence) -> dict[str, Any]:
    """The COCO-like dict: 17 slots for PoseTrack's joints (51 keypoint numbers, 17 scores), else one slot a joint.

    Track ids that poseval would refuse (none, or 10000 and above) are replaced: renumbered by first appearance, a
    new one for every person without.
    """
    names = POSETRACK_SLOTS if sequence.skeleton is POSETRACK else sequence.skeleton.joints
    slots = [names.index(joint) for joint in sequence.skeleton.joints]
    video = sequence.name.split("_")[0]
    track_ids = _track_ids(sequence)
    images, annotations = [], []
    for frame in sequence.frames:
        images.append(_image(frame, video, len(sequence.frames)))
        for n, person in enumerate(frame.people):
            annotation = _annotation(person, slots, len(names))
            annotation |= {"track_id": track_ids.pop(0), "image_id": frame.id, "id": frame.id * 100 + n}
            annotations.append(annotation)
    category = {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(names)}
    limbs = [[slots[a] + 1, slots[b] + 1] for a, b in sequence.skeleton.limbs]
    return {"images": images, "annotations": annotations, "categories": [category | {"skeleton": limbs}]}


def write_sequence(sequence: Sequence, path: Path | str) -> None:
    """Write a sequence's JSON; the file appears whole or not at all. Raises InputError if it cannot be written."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(sequence_to_json(sequence), allow_nan=False), encoding="utf-8")
        os.replace(partial, path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be written: {error}") from error


def write_folder(sequences: list[Sequence], folder: Path | str) -> None:
    """One NAME.json a sequence; raises InputError if one cannot be written."""
    for sequence in sequences:
        write_sequence(sequence, Path(folder) / f"{sequence.name}.json")


def _track_ids(sequence: Sequence) -> list[int]:
    given = [person.track_id for frame in sequence.frames for person in frame.people]
    if all(identity is not None and 0 <= identity < _MAX_TRACK_ID for identity in given):
        return [identity for identity in given if identity is not None]
    renumbered: dict[object, int] = {}
    return [renumbered.setdefault(object() if i is None else i, len(renumbered)) for i in given]


def _image(frame: SequenceFrame, video: str, count: int) -> dict[str, Any]:
    return {
        "file_name": frame.name,
        "id": frame.id,
        "frame_id": frame.id,
        "vid_id": video,
        "nframes": count,
        "is_labeled": frame.labelled,
        "has_labeled_person": bool(frame.people),
        "has_no_densepose": True,
        "ignore_regions_x": [polygon[:, 0].tolist() for polygon in frame.ignore],
        "ignore_regions_y": [polygon[:, 1].tolist() for polygon in frame.ignore],
    }


def _annotation(person: Person, slots: list[int], count: int) -> dict[str, Any]:
    keypoints = np.zeros((count, 3))
    keypoints[slots] = person.keypoints
    annotation: dict[str, Any] = {"category_id": 1, "keypoints": keypoints.ravel().tolist(), "scores": []}
    if person.joint_scores is not None:
        annotation["scores"] = _spread(np.nan_to_num(person.joint_scores, nan=-9999.0), slots, count).tolist()
    for key, box in (("bbox", person.box), ("bbox_head", person.head_box)):
        if box is not None:
            annotation[key] = box.tolist()
    if person.score is not None:
        annotation["score"] = float(person.score)
    if person.flags:
        annotation["flags"] = {
            name: _spread(mask.astype(np.float64), slots, count).astype(int).tolist()
            for name, mask in person.flags.items()
        }
    return annotation | space_to_json(person.joints_3d, person.covariances_3d, slots, count)


def space_to_json(
    joints: Array | None, covariances: Array | None, slots: list[int], count: int
) -> dict[str, list[list[float] | None]]:
    """Members `joints_3d` (metres) and `covariances_3d` (xx, xy, xz, yy, yz, zz), a list a slot; null where unknown.

    joints: K x 3, covariances: K x 3 x 3; slots: the K slots they go to, of `count`.
    """
    rows, columns = np.triu_indices(3)
    upper = None if covariances is None else covariances[:, rows, columns]
    found: dict[str, list[list[float] | None]] = {}
    for key, values in (("joints_3d", joints), ("covariances_3d", upper)):
        if values is None:
            continue
        listed: list[list[float] | None] = [None] * count
        for slot, row in zip(slots, values.tolist(), strict=True):
            listed[slot] = [round(number, 6) for number in row] if np.isfinite(row).all() else None
        found[key] = listed
    return found


def _spread(values: Array, slots: list[int], count: int) -> Array:
    out = np.zeros(count)
    out[slots] = values
    return out
