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
from typing import Any

import cv2
import numpy as np

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.images import picture_to_bgr
from sdtc_ros.types import Frame

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
DEFAULT_FPS = 25.0
_RETRIES = 10  # undecodable frames in a row after which a video counts as over

# FFmpeg prints its own complaints about damaged files unless told so before its first use; ours are one sentence
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass
class Source:
    """An input as a stream of frames.

    name: what its results are called (a PoseTrack sequence's, a file's or a folder's name); count: frames expected, as
    far as known; fps: its frame rate; frames: (number, Frame) in order, numbers from 0 and counting damaged frames
    too, so they fit the truth's (number n of a video or folder is stamped (n + 1) / fps seconds); problems: once
    `frames` is used up or closed, what could not be read, a clause each.
    """

    name: str
    what: str
    fps: float
    count: int | None
    frames: Iterator[tuple[int, Frame]]
    problems: list[str] = field(default_factory=list)


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
        raise UsageError(f"--topic chooses a topic of a bag, but {path} is none")
    if fps is not None and not 0 < fps < math.inf:
        raise UsageError(f"a frame rate of {fps} is none; --fps needs a number above 0")
    if bag:
        source = _bag_source(path, topic, excerpt)
    elif path.is_dir():
        source = _folder_source(path, fps, excerpt)
    else:
        source = _file_source(path, fps, excerpt)
    source.frames = _primed(source.frames)
    return source


def _primed(frames: Iterator[tuple[int, Frame]]) -> Iterator[tuple[int, Frame]]:
    """The same stream, its first frame read already: where there is none, this raises, and not later."""
    first = next(frames)

    def rest() -> Iterator[tuple[int, Frame]]:
        try:
            yield first
            yield from frames
        finally:
            frames.close()  # type: ignore[attr-defined]

    return rest()


def _file_source(path: Path, fps: float | None, excerpt: Excerpt) -> Source:
    if path.suffix == ".bag":
        raise InputError(f"{path} is a ROS 1 bag; convert it first, with: rosbags-convert --src {path} --dst FOLDER")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        raise InputError(f"{path} is a single picture; give a folder of pictures, a video or a rosbag2")
    return _video_source(path, fps, excerpt)


def _bag_source(path: Path, topic: str | None, excerpt: Excerpt) -> Source:
    from sdtc_ros.io.bag import BagReader, choose_image_topic, read_images

    reader = BagReader(path)
    chosen = choose_image_topic(reader, topic)
    if chosen.count == 0:
        raise InputError(f"topic {chosen.name} of {path} has no messages")
    name = path.stem if path.is_file() else path.resolve().name
    fps = (chosen.count - 1) / reader.seconds if reader.seconds > 0 and chosen.count > 1 else DEFAULT_FPS

    def frames() -> Iterator[tuple[int, Frame | None]]:
        yield from enumerate(read_images(reader, chosen))

    what = f"{path}, topic {chosen.name}"
    source = Source(name, what, fps, excerpt.count(chosen.count), iter(()))
    source.problems = reader.problems
    source.frames = _sound(frames(), source, excerpt)
    return source


def _folder_source(folder: Path, fps: float | None, excerpt: Excerpt) -> Source:
    files = sorted((file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES), key=_natural)
    if not files:
        inside = ", ".join(sorted(f"{child.name}/" for child in folder.iterdir() if child.is_dir())[:5])
        hint = f"; perhaps one of its folders is meant: {inside}" if inside else ""
        raise InputError(f"{folder} holds neither a rosbag2 nor images ({' '.join(PICTURE_SUFFIXES)}){hint}")
    rate = fps or DEFAULT_FPS
    parts = folder.resolve().parts
    # PoseTrack's layout is images/<split>/<sequence>/<frame>: its annotations name frames by that path
    prefix = "/".join(parts[-3:] if len(parts) >= 3 and parts[-3] == "images" else parts[-1:])

    def frames() -> Iterator[tuple[int, Frame | None]]:
        for number, file in enumerate(files):
            yield number, _read_picture(file, number, rate, prefix) if number >= excerpt.start else None

    source = Source(parts[-1], str(folder), rate, excerpt.count(len(files)), iter(()))
    source.frames = _sound(frames(), source, excerpt)
    return source


def _read_picture(file: Path, number: int, fps: float, prefix: str) -> Frame | None:
    try:
        image = picture_to_bgr(np.fromfile(file, np.uint8), file.name)
    except (InputError, OSError):
        return None
    return Frame(image, _stamp(number, fps), "", f"{prefix}/{file.name}")


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key by which frame2 comes before frame10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", path.name)]


def _video_source(path: Path, fps: float | None, excerpt: Excerpt) -> Source:
    capture = _open_video(path)
    own = capture.get(cv2.CAP_PROP_FPS)
    rate = fps or (own if 0 < own < 1000 else DEFAULT_FPS)
    said = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    said = said if 0 < said < 1 << 31 else 0

    def frames() -> Iterator[tuple[int, Frame | None]]:
        number = failed = 0
        try:
            while failed < _RETRIES:
                done, image = capture.read() if number + failed >= excerpt.start else (capture.grab(), None)
                if not done:
                    failed += 1
                    continue
                for lost in range(number, number + failed):
                    yield lost, None
                number += failed
                yield number, None if image is None else Frame(np.asarray(image, np.uint8), _stamp(number, rate))
                number, failed = number + 1, 0
            # containers count a frame or two wrongly even when nothing is missing
            if number and said - number > max(2, said // 100):
                source.problems.append(f"{path.name} is cut short, {number} of its {said} frames could be read")
        finally:
            capture.release()

    source = Source(path.stem, str(path), rate, excerpt.count(said or None), iter(()))
    source.frames = _sound(frames(), source, excerpt)
    return source


def _open_video(path: Path) -> cv2.VideoCapture:
    """A capture that is open; raises InputError. OpenCV and FFmpeg are kept from printing their own complaints."""
    logging: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV before 4.12 has these two by themselves
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        capture = cv2.VideoCapture(str(path))
    finally:
        logging.setLogLevel(level)
    if not capture.isOpened() or _is_text(path):
        raise InputError(f"{path} is neither a rosbag2 nor a video that OpenCV can read")
    return capture


def _is_text(path: Path) -> bool:
    """Whether it is plain text, which FFmpeg would show as a film of a terminal."""
    with path.open("rb") as file:
        text = file.read(4096).decode(errors="replace").rstrip("\ufffd")  # the last character may be cut
    return not any(mark in text for mark in "\0\ufffd")


def _stamp(number: int, fps: float) -> int:
    """Nanoseconds; frame 0 comes one step after 0, which in a ROS header stands for no stamp."""
    return round((number + 1) * 1_000_000_000 / fps)


def _sound(frames: Iterator[tuple[int, Frame | None]], source: Source, excerpt: Excerpt) -> Iterator[tuple[int, Frame]]:
    """The undamaged frames of the excerpt under a name each; the damaged are counted into `source.problems`.

    Raises InputError at the end where there was not one.
    """
    damaged: list[int] = []
    seen = yielded = 0
    try:
        for number, frame in frames:
            if number >= excerpt.stop:
                break
            seen = number + 1
            if number < excerpt.start:
                continue
            if frame is None:
                damaged.append(number)
                continue
            yielded += 1
            name = frame.name or f"{source.name}/{number:06d}.jpg"
            yield number, frame if frame.name else Frame(frame.image, frame.stamp, frame.frame_id, name)
    finally:
        frames.close()  # type: ignore[attr-defined]
        if damaged and yielded:
            source.problems.append(_damaged_clause(damaged, seen - excerpt.start))
    if not yielded:
        raise InputError(_nothing(source, seen, len(damaged), excerpt))


def _damaged_clause(damaged: list[int], of: int) -> str:
    named = ", ".join(str(number) for number in damaged[:8]) + (", ..." if len(damaged) > 8 else "")
    if len(damaged) == 1:
        return f"1 of {of} frames is damaged and was left out (number {named})"
    return f"{len(damaged)} of {of} frames are damaged and were left out (numbers {named})"


def _nothing(source: Source, seen: int, damaged: int, excerpt: Excerpt) -> str:
    if damaged:
        return f"{source.what}: none of its {damaged} frames could be read"
    if seen:
        return f"{source.what} has only {seen} frames, but --start asks for number {excerpt.start} on"
    return f"{source.what} has 0 frames"
