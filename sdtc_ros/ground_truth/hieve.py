# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""HiEve's annotations: a folder a video with one XML file a frame (000000.xml), 14 joints.

Format page: http://humaninevents.org/format.html. annotation/object[]: name ("P-1": the track), action, bndbox with
xmin ymin xmax ymax and an element a joint ("Nose": "x,y,flag"; flag 0 visible, 1 occluded, -1 not annotated). The page
prints the tree as JSON; the element names are taken from it, and a joint's may be spelt with hyphen, underscore or
neither, in any case. The server takes a .zip with a .json a video, whose fields the page does not show: our
predictions are therefore PoseTrack-like JSON with HiEve's 14 joints as the category's keypoints.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.errors import InputError
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.skeleton import HIEVE

_JOINT_OF_TAG = {joint.replace("_", ""): k for k, joint in enumerate(HIEVE.joints)}


def read_hieve_folder(folder: Path | str) -> list[Sequence]:
    """Every video folder under `folder` (or `folder` itself, if the XML files lie in it), sorted by name.

    Raises InputError where there is none to read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} does not exist; expected a folder with a folder of frame XML files for each video")
    if without_apple_double(folder.glob("*.xml")):
        return [read_hieve_sequence(folder)]
    videos = sorted(path for path in folder.iterdir() if path.is_dir() and without_apple_double(path.glob("*.xml")))
    if not videos:
        raise InputError(f"{folder} holds no HiEve annotations; expected folders with files like 000000.xml in them")
    return [read_hieve_sequence(video) for video in videos]


def read_hieve_sequence(folder: Path | str, problems: list[str] | None = None) -> Sequence:
    """One video: its frames by number, the file's stem; raises InputError that names file and place.

    With a list of `problems`, a frame that cannot be read is left out and its error's sentence appended instead.
    """
    folder = Path(folder)
    files: dict[int, Path] = {}
    for path in sorted(without_apple_double(folder.glob("*.xml"))):
        if not path.stem.isdigit():
            raise InputError(f"{path} is not named after a frame number, like 000000.xml")
        files[int(path.stem)] = path
    frames = []
    for number in sorted(files):
        try:
            frames.append(_frame(number, files[number]))
        except InputError as error:
            if problems is None:
                raise
            problems.append(str(error))
    return Sequence(folder.name, frames, HIEVE, folder)


def _frame(number: int, path: Path) -> SequenceFrame:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError) as error:
        raise InputError(f"{path} is not a readable XML file: {error}") from error
    if root.tag != "annotation":
        raise InputError(f"{path}: the outermost element must be <annotation>, but is <{root.tag}>")
    people = [_person(node, f"{path}: object {n}") for n, node in enumerate(root.iter("object"))]
    return SequenceFrame(f"{path.parent.name}/{path.stem}.jpg", number, True, people)


def _person(node: ElementTree.Element, where: str) -> Person:
    digits = re.search(r"\d+", node.findtext("name", ""))
    box = node.find("bndbox")
    if digits is None or box is None:
        raise InputError(f"{where} needs a <name> with the person's number (P-1) and a <bndbox>")
    keypoints, occluded = np.zeros((len(HIEVE), 3)), np.zeros(len(HIEVE), bool)
    for child in box:
        joint = _JOINT_OF_TAG.get(re.sub("[-_ ]", "", child.tag).lower())
        if joint is None:
            continue
        x, y, flag = _numbers(child, 3, where)
        if flag >= 0:
            keypoints[joint], occluded[joint] = (x, y, 1.0 - flag), flag == 1
    corners = []
    for tag in ("xmin", "ymin", "xmax", "ymax"):
        corner = box.find(tag)
        if corner is None:
            raise InputError(f"{where}: <bndbox> lacks <{tag}>")
        corners += _numbers(corner, 1, where)
    left, top, right, bottom = corners
    return Person(
        keypoints,
        track_id=int(digits.group()),
        box=np.array([left, top, right - left, bottom - top]),
        flags={"occluded": occluded},
        action=node.findtext("action", ""),
    )


def _numbers(node: ElementTree.Element, count: int, where: str) -> list[float]:
    try:
        values = [float(part) for part in (node.text or "").split(",")]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        what = "x,y,flag" if count == 3 else "one number"
        raise InputError(f"{where}: <{node.tag}> must hold {what}, but holds '{node.text}'")
    return values
