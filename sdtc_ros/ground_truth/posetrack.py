# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""PoseTrack18 and PoseTrack21 annotation JSON (COCO-like: images, annotations, categories), a file a sequence.

Slots are mapped by the names in `categories`, and people told from other objects by `category_id`; a file without
categories has PoseTrack's 17 slots, of which the two ears are never labelled. A PoseTrack17 file (`annolist`) is
recognised and read too (posetrack17.py). Formats: https://github.com/svenkreiss/poseval and
https://github.com/anDoer/PoseTrack21 (doc/dataset_structure.md).

An annotation may carry `flags`, our own addition that other tools pass over: {"occluded": [0, 1, ...], ...}, one number
a keypoint slot. (Files of versions before 0.2 say "hidden" for "occluded".) The writer's counterpart is
posetrack_write.py.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.categories import category_of, is_people, listed_categories
from sdtc_ros.ground_truth.json_input import load_json, member, numbers
from sdtc_ros.ground_truth.posetrack17 import parse_annolist
from sdtc_ros.ground_truth.sequence import Array, Mask, Person, Sequence, SequenceFrame, size_of
from sdtc_ros.skeleton import POSETRACK, SKELETONS, Skeleton

_log = logging.getLogger("sdtc_ros")
_FORMER_FLAGS = {"hidden": "occluded"}  # as files of earlier versions name them
# the file's own layout: skeleton order with two ears after head_top
POSETRACK_SLOTS = (*POSETRACK.joints[:3], "left_ear", "right_ear", *POSETRACK.joints[3:])


def read_folder(
    folder: Path | str, skeleton: Skeleton = POSETRACK, ordered: bool = True, own: bool = False
) -> list[Sequence]:
    """Every *.json of a folder (or one file); raises InputError where there is none to read.

    They come sorted by name, or with ordered = False as the folder lists them, which is the order poseval takes. own:
    in the skeleton that each file has itself, where that is another one.
    """
    folder = Path(folder)
    if folder.is_file():
        return [read_sequence(folder, skeleton, own)]
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; expected a folder with one PoseTrack JSON file a sequence")
    files = without_apple_double(folder.glob("*.json"))
    if not files:
        raise InputError(f"{folder} holds no *.json file; expected one PoseTrack annotation file a sequence in it")
    return [read_sequence(file, skeleton, own) for file in (sorted(files) if ordered else files)]


def read_sequence(path: Path | str, skeleton: Skeleton = POSETRACK, own: bool = False) -> Sequence:
    """One PoseTrack17, 18 or 21 file, truth or predictions; raises InputError that says what was expected where.

    own: in the skeleton that the file has itself, where that is another one.
    """
    path = Path(path)
    data = load_json(path)
    return parse_sequence(data, path, skeleton_of(data, skeleton) if own else skeleton)


def parse_sequence(data: Any, path: Path, skeleton: Skeleton = POSETRACK) -> Sequence:
    """A file's content as read_sequence reads it; `path` names the sequence and stands in what errors say."""
    if isinstance(data, dict) and "annolist" in data:
        return Sequence(path.stem, parse_annolist(data, path, skeleton), skeleton, path, dataset_of(data))
    if not isinstance(data, dict) or "images" not in data:
        raise InputError(
            f"{path} is not a PoseTrack file: expected 'images' and 'annotations' (PoseTrack18/21) or 'annolist' "
            "(PoseTrack17) at its top level"
        )
    order, slots, category = _slot_order(data, path, skeleton)
    frames = [_frame(image, f"{path}: images[{i}]") for i, image in enumerate(member(data, "images", list, str(path)))]
    by_id: dict[int, SequenceFrame] = {}
    for i, frame in enumerate(frames):
        if by_id.setdefault(frame.id, frame) is not frame:
            raise InputError(f"{path}: images[{i}] repeats the image id {frame.id}; ids must be unique in a file")
    others = {other.get("id") for other in listed_categories(data, str(path))} - {category}
    annotations = [
        (annotation, f"{path}: annotations[{i}]")
        for i, annotation in enumerate(member(data, "annotations", list, str(path)))
        if not (isinstance(annotation, dict) and category_of(annotation) in others - {None})
    ]
    people = [(annotation, where) for annotation, where in annotations if not _is_pointless(annotation)]
    if len(people) < len(annotations):
        _log.warning("%s: %d people without keypoints are ignored", path, len(annotations) - len(people))
    for annotation, where in annotations:
        image_id = member(annotation, "image_id", int, where)
        if image_id not in by_id:
            raise InputError(f"{where} refers to image id {image_id}, which is not in the file's list of images")
        by_id[image_id].pointless += _is_pointless(annotation)
    for (annotation, where), keypoints in zip(people, _all_keypoints(people, slots), strict=True):
        by_id[annotation["image_id"]].people.append(_person(annotation, keypoints[order], order, slots, where))
    for image, frame in zip(data["images"], frames, strict=True):
        frame.labelled = bool(image.get("is_labeled", frame.people))
    return Sequence(path.stem, frames, skeleton, path, dataset_of(data))


def skeleton_of(data: Any, model: Skeleton) -> Skeleton:
    """The skeleton that a file's people have: `model` where its joints are among theirs, else the first that is known.

    `model` too where none fits or the file does not name its joints.
    """
    if isinstance(data, dict) and "annolist" in data:
        named = [set(POSETRACK.joints)]
    else:
        listed = data.get("categories") if isinstance(data, dict) else None
        categories = listed if isinstance(listed, list) else []
        keypoints = [category.get("keypoints") for category in categories if isinstance(category, dict)]
        named = [set(filter(_is_word, joints)) for joints in keypoints if isinstance(joints, list)]
    for skeleton in (model, *SKELETONS.values()):
        if any(set(skeleton.joints) <= joints for joints in named):
            return skeleton
    return model


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def dataset_of(data: dict[str, Any]) -> str:
    """posetrack17, 18 or 21, by a file's content: 21 gives every annotation a `person_id`."""
    if "annolist" in data:
        return "posetrack17"
    annotations = data.get("annotations")
    rows = annotations if isinstance(annotations, list) else []
    return "posetrack21" if any(isinstance(row, dict) and "person_id" in row for row in rows) else "posetrack18"


def _is_pointless(annotation: Any) -> bool:
    """Whether it is a person without a list of keypoints: outside the image in a tool's track, say."""
    return isinstance(annotation, dict) and annotation.get("keypoints") == []


def _slot_order(data: dict[str, Any], path: Path, skeleton: Skeleton) -> tuple[list[int], int, Any]:
    """Which slot holds each joint of the skeleton, how many slots there are, and the id of the category of people.

    That is the one whose keypoints are the skeleton's joints, wherever in the list it stands.
    """
    categories = listed_categories(data, str(path))
    if not categories:
        names: list[Any] = list(POSETRACK_SLOTS if skeleton is POSETRACK else skeleton.joints)
        return [names.index(joint) for joint in skeleton.joints], len(names), None
    lacking = {}
    fitting = []
    for i, category in enumerate(categories):
        names = category.get("keypoints") or []
        lacking[i] = [joint for joint in skeleton.joints if not isinstance(names, list) or joint not in names]
        if not lacking[i]:
            fitting.append(category)
    if not fitting:
        at = min(lacking, key=lambda i: (len(lacking[i]), i))
        raise InputError(
            f"{path}: categories[{at}].keypoints lacks {', '.join(lacking[at])} of the {skeleton.name} skeleton"
            + (", and so do the others" if len(categories) > 1 else "")
        )
    people = [category for category in fitting if is_people(category)] or fitting
    if len(people) > 1:
        named = " and ".join(f"'{category.get('name')}'" for category in people[:2])
        raise InputError(f"{path}: categories {named} both have the joints; which of them is the person category?")
    names = people[0]["keypoints"]
    return [names.index(joint) for joint in skeleton.joints], len(names), people[0].get("id")


def _frame(image: Any, where: str) -> SequenceFrame:
    name, identity = member(image, "file_name", str, where), member(image, "id", int, where)
    xs, ys = image.get("ignore_regions_x") or [], image.get("ignore_regions_y") or []
    if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
        raise InputError(f"{where}: ignore_regions_x and ignore_regions_y must be lists of as many polygons")
    polygons = []
    for n, (x, y) in enumerate(zip(xs, ys, strict=True)):
        corners = numbers(x, None, f"{where}: ignore_regions_x[{n}]")
        polygons.append(np.stack([corners, numbers(y, len(corners), f"{where}: ignore_regions_y[{n}]")], axis=1))
    return SequenceFrame(name, identity, False, ignore=polygons, size=size_of(image))


def _all_keypoints(people: list[tuple[Any, str]], slots: int) -> Array:
    """The keypoints of annotations (with their places) at once, N x slots x 3: a third of the time of one by one."""
    rows = [member(annotation, "keypoints", list, where) for annotation, where in people]
    if not rows:
        return np.zeros((0, slots, 3))
    try:
        array = np.asarray(rows, np.float64)
        sound = array.shape == (len(rows), 3 * slots) and bool(np.isfinite(array).all())
    except (TypeError, ValueError, OverflowError):
        sound = False
    if not sound:  # one by one now, to name the one that is wrong
        pairs = zip(rows, people, strict=True)
        array = np.stack([numbers(row, 3 * slots, f"{where}.keypoints") for row, (_, where) in pairs])
    return array.reshape(len(rows), slots, 3)


def _person(annotation: dict[str, Any], keypoints: Array, order: list[int], slots: int, where: str) -> Person:
    scores = annotation.get("scores") or None
    score = annotation.get("score")
    if score is not None and (not isinstance(score, (int, float)) or not np.isfinite(score)):
        raise InputError(f"{where}: 'score' must be a finite number")
    track_id = annotation.get("track_id")
    return Person(
        keypoints=keypoints,
        track_id=None if track_id is None else member(annotation, "track_id", int, where),
        box=_box(annotation, "bbox", where),
        head_box=_box(annotation, "bbox_head", where),
        score=score,
        joint_scores=None if scores is None else numbers(scores, slots, f"{where}.scores")[order],
        flags=_flags(annotation, order, slots, where) if "flags" in annotation else {},
        joints_3d=_space(annotation, "joints_3d", 3, order, slots, where),
        covariances_3d=_symmetric(_space(annotation, "covariances_3d", 6, order, slots, where)),
    )


def _space(annotation: dict[str, Any], key: str, size: int, order: list[int], slots: int, where: str) -> Array | None:
    """K x size numbers of a member that has a list or null a slot, NaN for null; None where it is not there."""
    rows = annotation.get(key)
    if rows is None:
        return None
    if not isinstance(rows, list) or len(rows) != slots:
        raise InputError(f"{where}.{key} must be a list of {slots} lists")
    values = [numbers(row, size, f"{where}.{key}") if row is not None else np.full(size, np.nan) for row in rows]
    return np.stack(values)[order]


def _symmetric(upper: Array | None) -> Array | None:
    """K x 6 (xx, xy, xz, yy, yz, zz) as K x 3 x 3."""
    return None if upper is None else upper[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]].reshape(-1, 3, 3)


def _box(annotation: dict[str, Any], key: str, where: str) -> Array | None:
    value = annotation.get(key)
    return numbers(value, 4, f"{where}.{key}") if value else None


def _flags(annotation: dict[str, Any], order: list[int], slots: int, where: str) -> dict[str, Mask]:
    flags = member(annotation, "flags", dict, where)
    masks = {name: numbers(row, slots, f"{where}.flags.{name}")[order] > 0 for name, row in flags.items()}
    return {_FORMER_FLAGS.get(name, name): mask for name, mask in masks.items()}
