# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""PoseTrack17 annotation JSON (`annolist`: a list of frames, every scalar in a list of one), truth or predictions.

annolist[]: image[0].name, imgnum[0], is_labeled[0], ignore_regions[].point[]{x, y}, annorect[]: x1 y1 x2 y2 (the HEAD
box), track_id[0], score[0], annopoints[0].point[]{id, x, y, is_visible, score}. Format as poseval reads it
(https://github.com/svenkreiss/poseval).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.json_input import member
from sdtc_ros.ground_truth.sequence import Array, Person, SequenceFrame
from sdtc_ros.skeleton import Skeleton

# PoseTrack17's point ids 0..14; its "neck" and the later files' "head_bottom" are one joint
POINT_IDS = (
    "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "right_wrist", "right_elbow",
    "right_shoulder", "left_shoulder", "left_elbow", "left_wrist", "head_bottom", "nose", "head_top",
)  # fmt: skip


def parse_annolist(data: dict[str, Any], path: Path, skeleton: Skeleton) -> list[SequenceFrame]:
    """The frames of a loaded PoseTrack17 file; image ids are positions in the list. Raises InputError."""
    frames = []
    for i, entry in enumerate(member(data, "annolist", list, str(path))):
        where = f"{path}: annolist[{i}]"
        images = member(entry, "image", list, where)
        name = member(images[0] if images else None, "name", str, f"{where}.image[0]")
        rects = member(entry, "annorect", list, where)
        listed = [(rect, f"{where}.annorect[{n}]") for n, rect in enumerate(rects) if _has_points(rect)]
        people = [_person(rect, skeleton, spot) for rect, spot in listed]
        labelled = bool(_scalar(entry, "is_labeled", where)) if "is_labeled" in entry else bool(rects)
        regions = entry.get("ignore_regions") or []
        polygons = [_polygon(region, f"{where}.ignore_regions[{n}]") for n, region in enumerate(regions)]
        frames.append(SequenceFrame(name, i, labelled, people, polygons, len(rects) - len(people)))
    return frames


def _scalar(record: Any, key: str, where: str) -> float:
    """record[key][0] (or record[key] itself) as a finite number."""
    value = member(record, key, (list, int, float), where)
    value = value[0] if isinstance(value, list) and value else value
    if not isinstance(value, (int, float)) or not np.isfinite(value):
        raise InputError(f"{where}: '{key}' must hold one finite number")
    return value


def _polygon(region: Any, where: str) -> Array:
    points = member(region, "point", list, where)
    return np.array([[_scalar(p, "x", where), _scalar(p, "y", where)] for p in points], np.float64).reshape(-1, 2)


def _visible(point: dict[str, Any]) -> float:
    """0.0 for a point that is marked occluded; some files leave the mark empty or write it as text."""
    mark = point.get("is_visible")
    mark = mark[0] if isinstance(mark, list) and mark else mark
    return 0.0 if mark in (0, "0", False) else 1.0


def _has_points(rect: Any) -> bool:
    """poseval's test of who is annotated; what is malformed passes, for _person to name it."""
    annopoints = rect.get("annopoints", []) if isinstance(rect, dict) else [rect]
    return bool(annopoints) and (not isinstance(annopoints, list) or annopoints[0] not in ([], {}))


def _person(rect: Any, skeleton: Skeleton, where: str) -> Person:
    if not isinstance(rect, dict):
        raise InputError(f"{where} must be a JSON object, but is a {type(rect).__name__}")
    points = member(member(rect, "annopoints", list, where)[0], "point", list, f"{where}.annopoints[0]")
    keypoints = np.zeros((len(skeleton), 3))
    scores = np.full(len(skeleton), np.nan)
    for n, point in enumerate(points):
        spot = f"{where}.annopoints[0].point[{n}]"
        identity = _scalar(point, "id", spot)
        if identity not in range(len(POINT_IDS)):
            raise InputError(f"{spot}: 'id' must be 0 to {len(POINT_IDS) - 1}, but is {identity}")
        joint = skeleton.index(POINT_IDS[int(identity)])
        keypoints[joint] = _scalar(point, "x", spot), _scalar(point, "y", spot), _visible(point)
        if "score" in point:
            scores[joint] = _scalar(point, "score", spot)
    head = None
    if all(key in rect for key in ("x1", "y1", "x2", "y2")):
        x1, y1, x2, y2 = (_scalar(rect, key, where) for key in ("x1", "y1", "x2", "y2"))
        head = np.array([x1, y1, x2 - x1, y2 - y1], np.float64)
    return Person(
        keypoints=keypoints,
        track_id=int(_scalar(rect, "track_id", where)) if "track_id" in rect else None,
        head_box=head,
        score=_scalar(rect, "score", where) if "score" in rect else None,
        joint_scores=None if np.isnan(scores).all() else scores,
    )
