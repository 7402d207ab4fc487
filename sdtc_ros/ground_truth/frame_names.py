# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Which frame of an input a file name in annotations means: by name, else by the number in it, never by its place.

Labelling tools write names their own way: with folders in front, backslashes, another ending, an upload's prefix, a
query behind it, URL-encoded, with a hash (Label Studio, CVAT, Roboflow).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import unquote

from sdtc_ros.errors import InputError

_ENDINGS = "jpg|jpeg|png|bmp|webp|tif|tiff"
_IMAGE = re.compile(rf"\.({_ENDINGS})$", re.IGNORECASE)
_ROBOFLOW = re.compile(rf"_({_ENDINGS})\.rf\.\w+$", re.IGNORECASE)
_SECONDS_NANOSECONDS = re.compile(r"(?<!\d)(\d{10})[._-](\d{9})(?!\d)")
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HASH = re.compile(rf"{_UUID}|(?<![0-9a-z])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{{6,}}(?![0-9a-z])")
_UPLOAD = re.compile(rf"^(?:{_UUID}|[0-9a-f]{{6,}})[-_]")
_FIRST_STAMP = 10**15  # nanoseconds; a smaller number counts frames
_POSETRACK_IDS = 10**8  # image ids of PoseTrack are a sequence's number and four digits of the frame's


@dataclass
class Places:
    """Where named frames lie in an input: `numbers` (from 0) and `stamps` (nanoseconds) by name; neither: nowhere."""

    numbers: list[int | None] = field(default_factory=list)
    stamps: list[int | None] = field(default_factory=list)


def plain_path(name: str) -> str:
    """A name as a path with forward slashes, decoded, without a query or a hash behind it."""
    before, _, query = unquote(name.strip()).replace("\\", "/").partition("?")
    if query and not _IMAGE.search(before):  # /data/local-files/?d=clip/000004.jpg
        before = next((part.partition("=")[2] for part in query.split("&") if _IMAGE.search(part)), before)
    path = PurePosixPath(before)
    stem = _ROBOFLOW.sub("", path.stem)
    return str(path) if stem == path.stem else str(path.with_name(f"{stem}{path.suffix}"))


def plain_stem(name: str) -> str:
    """The last part of a plain path, without its ending."""
    last = PurePosixPath(plain_path(name)).name
    return _IMAGE.sub("", last)


def numbers_in(names: Sequence[str]) -> list[int] | None:
    """The number in every name that tells them apart; None where there is none.

    It is the last group of digits by which all names differ, hashes aside; seconds and nanoseconds are one number.
    """
    groups = []
    for name in names:
        stem = _SECONDS_NANOSECONDS.sub(r"\1\2", _HASH.sub("", plain_stem(name).lower()))
        groups.append([int(digits) for digits in re.findall(r"\d+", stem)])
    for place in range(1, min(map(len, groups), default=0) + 1):
        numbers = [group[-place] for group in groups]
        if len(set(numbers)) == len(set(names)):
            return numbers
    return None


def place_frames(
    names: Sequence[str], ids: Sequence[int], images: Sequence[str] | None, count: int | None, what: str
) -> Places:
    """Where the frames called `names` (with image ids `ids`) lie in an input.

    images: the input's file names by number, or None where its frames have none (a bag, a video); count: its length,
    where known; `what` names the annotations in errors. Raises InputError where no name can be placed, or only by
    guessing.
    """
    if images is not None:
        return Places(_among(names, images, what), [None] * len(names))
    numbers = numbers_in(names)
    if numbers is None:
        raise InputError(
            f"{what}: image names such as '{names[0]}' contain no frame number; "
            "name the images after the frames of the bag or video, for example 000012.jpg"
        )
    if min(numbers) >= _FIRST_STAMP:
        return Places([None] * len(names), list(numbers))
    first = _first_number(names, numbers, ids, count)
    return Places([number - first for number in numbers], [None] * len(names))


def _first_number(names: Sequence[str], numbers: list[int], ids: Sequence[int], count: int | None) -> int:
    """0 or 1: from where the numbers in the names count (PoseTrack17's, of 8 digits, from 1)."""
    if 0 in numbers:
        return 0
    for first in (0, 1):
        if ids and all(i >= _POSETRACK_IDS and i % 10000 == n - first for i, n in zip(ids, numbers, strict=True)):
            return first
    eight = all(re.fullmatch(r"\d{8}", plain_stem(name)) for name in names)
    return int(eight or max(numbers) == count)


def _among(names: Sequence[str], images: Sequence[str], what: str) -> list[int | None]:
    """The number of the image of each name: of the same name, but for ending or prefix, or number."""
    by_path = {plain_path(image): number for number, image in enumerate(images)}
    by_stem = {plain_stem(image): number for number, image in enumerate(images)}
    found = [by_path.get(PurePosixPath(plain_path(name)).name, by_stem.get(plain_stem(name))) for name in names]
    if None in found:
        tails = [_UPLOAD.sub("", plain_stem(name)) for name in names]
        found = [by_stem.get(tail) if at is None else at for at, tail in zip(found, tails, strict=True)]
    if all(at is None for at in found):
        found = _by_number(names, images, what)
    taken = [at for at in found if at is not None]
    if len(set(taken)) < len(taken) and len(set(names)) == len(names):
        at = next(at for at in taken if taken.count(at) > 1)
        both = [name for name, place in zip(names, found, strict=True) if place == at]
        raise InputError(f"{what}: '{both[0]}' and '{both[1]}' would both match the image {images[at]}")
    return found


def _by_number(names: Sequence[str], images: Sequence[str], what: str) -> list[int | None]:
    numbers, theirs = numbers_in(names), numbers_in(images)
    if numbers is None or theirs is None:
        raise InputError(
            f"{what}: no image name (such as '{names[0]}') matches an image of the input (such as "
            f"'{images[0]}'), and they have no frame number in common; use the input's names in the annotations"
        )
    at = {number: place for place, number in enumerate(theirs)}
    if not set(numbers) <= set(at):
        shift = next((s for s in (1, -1) if {number + s for number in numbers} <= set(at)), 0)
        if shift or not set(numbers) & set(at):
            counted = f"'{names[0]}' and '{images[0]}', say, count differently" if shift else "no number agrees"
            raise InputError(f"{what}: image names do not match the input's, and {counted}")
    return [at.get(number) for number in numbers]
