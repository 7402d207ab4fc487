# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Small hand-made data set folders in every layout: people are grids of coloured squares, a colour a joint."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.ground_truth.posetrack17 import POINT_IDS
from sdtc_ros.skeleton import HIEVE, POSETRACK, Skeleton

WIDTH, HEIGHT = 240, 160
FRAMES = 7
LABELLED = (0, 2, 4)  # of the frames; every other is a neighbour only
PEOPLE = 2
SLOTS = (*POSETRACK.joints[:3], "left_ear", "right_ear", *POSETRACK.joints[3:])
HEAD = (20.0, 10.0, 9.0, 12.0)  # a head box, diagonal 15


def places(frame: int, person: int, skeleton: Skeleton = POSETRACK) -> np.ndarray:
    """K x 2 whole pixels; people stand apart and move 3 pixels a frame."""
    k = np.arange(len(skeleton))
    return np.stack([20 + 110 * person + 3 * frame + 20 * (k % 4), 20 + 28 * (k // 4)], axis=1)


def box(frame: int, person: int) -> list[float]:
    """The person's box, xywh."""
    return [10.0 + 110 * person + 3 * frame, 10.0, 80.0, 110.0]


def colour(joint: int) -> tuple[int, int, int]:
    """BGR of a joint, no two alike."""
    return 40 + 14 * joint, 250 - 15 * joint, (joint * 97) % 200 + 40


def picture(frame: int, skeleton: Skeleton = POSETRACK) -> np.ndarray:
    """The frame's image."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for person in range(PEOPLE):
        for joint, (x, y) in enumerate(places(frame, person, skeleton).tolist()):
            cv2.rectangle(image, (x - 4, y - 4), (x + 4, y + 4), colour(joint), -1)
    return image


def write_pictures(folder: Path, names: Sequence[str], skeleton: Skeleton = POSETRACK) -> None:
    """One image a name, loss-free under whatever suffix (PNG's bytes)."""
    folder.mkdir(parents=True)
    for frame, name in enumerate(names):
        done, data = cv2.imencode(".png", picture(frame, skeleton))
        assert done
        (folder / name).write_bytes(data.tobytes())


def keypoints(frame: int, person: int) -> list[float]:
    """PoseTrack18's 51 numbers; the ears and the left wrist (7) are not labelled."""
    values = np.zeros((len(SLOTS), 3))
    for joint, place in enumerate(places(frame, person).tolist()):
        if POSETRACK.joints[joint] != "left_wrist":
            values[SLOTS.index(POSETRACK.joints[joint])] = (*place, 1)
    return values.ravel().tolist()


def posetrack18(root: Path, split: str = "val", name: str = "000001_test", new: bool = False) -> dict[str, Any]:
    """PoseTrack18's layout (new: PoseTrack21's); the JSON lists the frames 0 to 5, the folder also has 6."""
    write_pictures(root / "images" / split / name, [f"{i:06d}.jpg" for i in range(FRAMES)])
    images = [
        {"id": 100 + i, "file_name": f"images/{split}/{name}/{i:06d}.jpg", "is_labeled": i in LABELLED}
        | ({"has_labeled_person": i in LABELLED} if new else {})
        for i in range(FRAMES - 1)
    ]  # fmt: skip
    annotations = [
        {"id": 10 * i + p, "image_id": 100 + i, "track_id": 7 + p, "keypoints": keypoints(i, p), "bbox": box(i, p),
         "bbox_head": list(HEAD), "scores": []}
        | ({"person_id": 3 + p} if new else {})
        for i in LABELLED
        for p in range(PEOPLE)
    ]  # fmt: skip
    data = {"images": images, "annotations": annotations, "categories": [{"name": "person", "keypoints": list(SLOTS)}]}
    save(root, data, split, name, "posetrack_data" if new else "annotations")
    return data


def save(root: Path, data: Any, split: str = "val", name: str = "000001_test", place: str = "annotations") -> None:
    """Write (again) a sequence's annotations."""
    file = root / place / split / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(data))


def posetrack17(root: Path, split: str = "val") -> dict[str, Any]:
    """PoseTrack17's layout: frames count from 1 in 8 digits, only labelled ones are in the file."""
    write_pictures(root / "images" / "bonn_5sec" / "000001_bonn", [f"{i + 1:08d}.jpg" for i in range(FRAMES)])
    frames = []
    for i in LABELLED:
        rects = []
        for p in range(PEOPLE):
            points = [
                {"id": [POINT_IDS.index(joint)], "x": [x], "y": [y], "is_visible": [int(joint != "nose")]}
                for joint, (x, y) in zip(POSETRACK.joints, places(i, p).tolist(), strict=True)
                if joint != "left_wrist"
            ]
            x, y, w, h = HEAD
            corners = {"x1": [x], "y1": [y], "x2": [x + w], "y2": [y + h]}
            rects.append(corners | {"track_id": [7 + p], "annopoints": [{"point": points}]})
        name = f"images/bonn_5sec/000001_bonn/{i + 1:08d}.jpg"
        frames.append({"image": [{"name": name}], "imgnum": [i + 1], "is_labeled": [1], "annorect": rects})
    data = {"annolist": frames}
    save(root, data, split, "000001_bonn_relpath_5sec_testsub")
    return data


def hieve(root: Path, split: str = "train", video: str = "1", frames: Sequence[int] = LABELLED) -> Path:
    """HiEve's layout: an XML file for each labelled frame; the left wrist is not labelled, the nose occluded."""
    write_pictures(root / "images" / split / video, [f"{i:06d}.jpg" for i in range(FRAMES)], HIEVE)
    folder = root / "annotations" / split / video
    folder.mkdir(parents=True)
    for i in frames:
        objects = ""
        for p in range(PEOPLE):
            x, y, w, h = box(i, p)
            tags = "".join(
                f"<{joint}>{px},{py},{-1 if joint == 'left_wrist' else int(joint == 'nose')}</{joint}>"
                for joint, (px, py) in zip(HIEVE.joints, places(i, p, HIEVE).tolist(), strict=True)
            )
            corners = f"<xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x + w}</xmax><ymax>{y + h}</ymax>"
            objects += f"<object><name>P-{7 + p}</name><bndbox>{corners}{tags}</bndbox></object>"
        (folder / f"{i:06d}.xml").write_text(f"<annotation>{objects}</annotation>")
    return folder
