# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where frames come from: a rosbag2, a video, a folder of images; each as a stream that survives damage and says so."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sdtc_ros.apple_double import without_apple_double
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.video import DEFAULT_FPS, uniform_stamp, video_frames, video_info
from sdtc_ros.messages.encodings import file_to_bgr, images_in
from sdtc_ros.types import Frame

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_OF_SEVERAL = (".webp", ".tif", ".tiff")  # of those, the ones that can hold several images
_NOT_READ = (".avif", ".dng", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".pgm", ".ppm")  # images all the same
_ROS1_MAGIC = b"#ROSBAG V2.0"


@dataclass
class Source:
    """An input as a stream of frames.

    name: what its results are called (a PoseTrack sequence's, a file's or a folder's name); count: frames expected, as
    far as known; fps: its frame rate; frames: (number, Frame) in order, numbers from 0 and counting damaged frames
    too, so they fit the truth's (number n of a folder is stamped (n + 1) / fps seconds, a video's frames as the file
    says); problems: once `frames` is used up or closed, what could not be read, a clause each; names: of a folder's
    images, by number; length: frames of the whole input, as far as known; size: (width, height) of the first frame.
    """

    name: str
    what: str
    fps: float
    count: int | None
    frames: Iterator[tuple[int, Frame]]
    problems: list[str] = field(default_factory=list)
    names: list[str] | None = None
    length: int | None = None
    size: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Excerpt:
    """The part of an input to read: `frames` frames (None: to the end) from number `start` on."""

    start: int = 0
    frames: int | None = None

    @property
    def stop(self) -> float:
        """The number of the first frame that is not read any more."""
        return math.inf if self.frames is None else self.start + self.frames

    def count(self, whole: int | None) -> int | None:
        """How many frames of `whole` it keeps."""
        return None if whole is None else int(max(0, min(whole, self.stop) - self.start))


def open_source(
    path: Path | str, topic: str | None = None, fps: float | None = None, excerpt: Excerpt | None = None
) -> Source:
    """The stream of frames of a rosbag2 (folder, .mcap or .db3), a video file or a folder of images.

    topic chooses among a bag's image topics, fps overrides a video's frame rate or gives a folder's. Raises InputError
    where not one frame can be read, UsageError where `topic` or `fps` do not fit.
    """
    from sdtc_ros.io.bag import is_bag

    path, excerpt = Path(path), excerpt or Excerpt()
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a rosbag2, a video or a folder of images")
    bag = is_bag(path)
    if topic and not bag:
        raise UsageError(f"--topic needs a bag, and {path} is not a bag")
    if fps is not None and not 0 < fps < math.inf:
        raise UsageError(f"the frame rate (--fps) must be > 0, got {fps:g}")
    if bag:
        source = _bag_source(path, topic, excerpt)
    elif path.is_dir():
        source = _folder_source(path, fps, excerpt)
    else:
        source = _file_source(path, fps, excerpt)
    first = next(source.frames)  # where there is none, this raises, and not later
    source.size = first[1].image.shape[1], first[1].image.shape[0]
    source.frames = _begun(first, source.frames)
    return source


def _begun(first: tuple[int, Frame], frames: Iterator[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
    """A stream of which the first frame is read already."""
    try:
        yield first
        yield from frames
    finally:
        frames.close()  # type: ignore[attr-defined]


def _file_source(path: Path, fps: float | None, excerpt: Excerpt) -> Source:
    with path.open("rb") as file:
        ros1 = file.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC
    if ros1 or path.suffix == ".bag":
        raise InputError(f"{path} is a ROS 1 bag; convert it first, with: rosbags-convert --src {path} --dst FOLDER")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise InputError(f"{path} is a single image; give a folder of images, a video or a rosbag2")
    return _video_source(path, fps, excerpt)


def _bag_source(path: Path, topic: str | None, excerpt: Excerpt) -> Source:
    from sdtc_ros.io.bag import BagReader, choose_image_topic, read_images
    from sdtc_ros.io.part_files import plain_name

    reader = BagReader(path)
    chosen = choose_image_topic(reader, topic)
    if chosen.count == 0:
        raise InputError(f"topic {chosen.name} of {path} has no messages")
    name = printable(plain_name(path.name).rsplit(".", 1)[0] if path.is_file() else path.resolve().name)
    fps = reader.rate(chosen) or DEFAULT_FPS

    what = f"{printable(path)}, topic {chosen.name}"
    source = Source(name, what, fps, excerpt.count(chosen.count), iter(()))
    source.problems, source.length = reader.problems, None if reader.problems else chosen.count
    source.frames = _sound(read_images(reader, chosen), source, excerpt)
    return source


def _folder_source(folder: Path, fps: float | None, excerpt: Excerpt) -> Source:
    files = image_files(folder)
    if not files:
        inside = ", ".join(sorted(f"{printable(child.name)}/" for child in folder.iterdir() if child.is_dir())[:5])
        hint = f"; perhaps one of its folders is meant: {inside}" if inside else ""
        raise InputError(f"{folder} holds neither a rosbag2 nor images ({' '.join(IMAGE_SUFFIXES)}){hint}")
    _refuse_pairs(folder, files)
    rate = fps or DEFAULT_FPS
    parts = [printable(part) for part in folder.resolve().parts]
    # PoseTrack's layout is images/<split>/<sequence>/<frame>: its annotations name frames by that path
    prefix = "/".join(parts[-3:] if len(parts) >= 3 and parts[-3] == "images" else parts[-1:])

    further: list[str] = []  # of files whose first image alone is read

    def frames() -> Iterator[tuple[int, Frame | InputError | None]]:
        try:
            for number, file in enumerate(files):
                yield number, _read_image(file, number, rate, prefix, further) if number >= excerpt.start else None
        finally:
            if further:
                source.problems.append(f"of files that hold several images the first alone was read: {_few(further)}")

    source = Source(parts[-1], printable(folder), rate, excerpt.count(len(files)), iter(()))
    if others := [file for file in without_apple_double(folder.iterdir()) if file.suffix.lower() in _NOT_READ]:
        named = _few(sorted(printable(file.name) for file in others))
        source.problems.append(f"images of formats that are not read, {len(others)}, were left out: {named}")
    source.names, source.length = [printable(file.name) for file in files], len(files)
    source.frames = _sound(frames(), source, excerpt)
    return source


def image_files(folder: Path) -> list[Path]:
    """The images of a folder in natural order."""
    found = [file for file in without_apple_double(folder.iterdir()) if file.suffix.lower() in IMAGE_SUFFIXES]
    return sorted(found, key=_natural)


def _refuse_pairs(folder: Path, files: list[Path]) -> None:
    """Raise InputError where two images have one name but for the ending: frames and masks, say, in one folder."""
    first: dict[str, Path] = {}
    pairs = [(first[file.stem], file) for file in files if first.setdefault(file.stem, file) is not file]
    if pairs:
        raise InputError(
            f"{printable(folder)} has two images of the same name, {printable(pairs[0][0].name)} and "
            f"{printable(pairs[0][1].name)} ({len(pairs)} such pairs), so it is ambiguous which are the frames; "
            "move the others to another folder"
        )


def _few(names: list[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")


def _read_image(file: Path, number: int, fps: float, prefix: str, further: list[str]) -> Frame | InputError:
    """A folder's image; what it holds beside its first is noted in `further`."""
    name = printable(file.name)
    try:
        content = np.fromfile(file, np.uint8)
        image = file_to_bgr(content, name)
        if file.suffix.lower() in _OF_SEVERAL and (held := images_in(content)) > 1:
            further.append(f"{name} ({held})")
    except InputError as error:
        return error
    except OSError as error:
        return InputError(f"{name} cannot be read: {error.strerror}")
    return Frame(image, uniform_stamp(number, fps), "", f"{prefix}/{name}")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which frame2 comes before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _video_source(path: Path, fps: float | None, excerpt: Excerpt) -> Source:
    info = video_info(path)
    rate = fps or info.rate
    source = Source(printable(path.stem), printable(path), rate, excerpt.count(info.count or None), iter(()))
    source.length = info.count or None
    source.frames = _sound(video_frames(path, info, fps, excerpt.start, source.problems), source, excerpt)
    return source


def printable(name: Path | str) -> str:
    """A path or name as text that can be written anywhere: bytes that are no UTF-8 are replaced."""
    return os.fsencode(name).decode(errors="replace")


def _sound(
    frames: Iterator[tuple[int, Frame | InputError | None]], source: Source, excerpt: Excerpt
) -> Iterator[tuple[int, Frame]]:
    """The undamaged frames of the excerpt under a name each; the damaged are counted into `source.problems`.

    Raises InputError at the end where there was not one.
    """
    damaged: list[int] = []
    reason = ""
    seen = yielded = 0
    try:
        for number, frame in frames:
            if number >= excerpt.stop:
                break
            seen = number + 1
            if number < excerpt.start or frame is None:
                continue
            if isinstance(frame, InputError):
                damaged.append(number)
                reason = reason or str(frame)
                continue
            yielded += 1
            name = frame.name or f"{source.name}/{number:06d}.jpg"
            yield number, frame if frame.name else Frame(frame.image, frame.stamp, frame.frame_id, name)
    finally:
        frames.close()  # type: ignore[attr-defined]
        if damaged and yielded:
            source.problems.append(_damaged_clause(damaged, yielded + len(damaged)))
    if not yielded:
        raise InputError(_nothing(source, seen, len(damaged), reason, excerpt))


def _damaged_clause(damaged: list[int], of: int) -> str:
    named = _few([str(number) for number in damaged])
    if len(damaged) == 1:
        return f"1 of {of} frames is damaged and was left out (number {named})"
    return f"{len(damaged)} of {of} frames are damaged and were left out (numbers {named})"


def _nothing(source: Source, seen: int, damaged: int, reason: str, excerpt: Excerpt) -> str:
    if damaged:
        return f"{source.what}: none of its {damaged} frames could be read; the first: {reason}"
    if seen:
        return f"{source.what} has only {seen} frames, but --start asks for number {excerpt.start} on"
    return "; ".join([f"{source.what} has 0 frames", *source.problems])
