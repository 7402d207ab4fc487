# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Frames of a video file under the stamps that the file itself gives them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.errors import InputError
from sdtc_ros.types import Frame

DEFAULT_FPS = 25.0
_FASTEST = 240.0  # frames a second; a header that says more holds a clock's ticks, as browsers write it
_RETRIES = 10  # undecodable frames in a row after which a video counts as over
_PEEK = 31  # frames whose times tell the rate that the header does not

# FFmpeg prints its own complaints about damaged files unless told so before its first use; ours are one sentence
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@dataclass(frozen=True)
class VideoInfo:
    """rate: mean frames a second; count: frames that the header announces, 0 where it does not say."""

    rate: float
    count: int


def video_info(path: Path) -> VideoInfo:
    """Rate and length of a video; raises InputError where OpenCV cannot read it."""
    with _capture(path) as capture:
        rate = capture.get(cv2.CAP_PROP_FPS)
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        if not 0 < rate <= _FASTEST:
            rate = _measured_rate(capture)
    return VideoInfo(rate, int(count) if 0 < count < 1 << 31 else 0)


def _measured_rate(capture: cv2.VideoCapture) -> float:
    """Frames a second by the times of the first frames; DEFAULT_FPS where they have none."""
    times: list[float] = []
    while len(times) < _PEEK and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    rate = 1000 * (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0
    return rate if 0 < rate <= _FASTEST else DEFAULT_FPS


def video_frames(
    path: Path, info: VideoInfo, fps: float | None, start: int, problems: list[str]
) -> Iterator[tuple[int, Frame | InputError | None]]:
    """(number, frame) of a video, from 0; before number `start` None, and why for a frame that does not decode.

    A frame is stamped with the time that the file gives it, one mean step later (0 in a ROS header stands for no
    stamp): variable rates keep their steps. With `fps` number n is stamped (n + 1) / fps seconds, whatever the file
    says. `problems` tells, at the end, if frames are missing there.
    """
    rate, number, failed, last = fps or info.rate, 0, 0, 0
    with _capture(path) as capture:
        while failed < _RETRIES:
            done, image = capture.read() if number + failed >= start else (capture.grab(), None)
            if not done:
                failed += 1
                continue
            for lost in range(number, number + failed):
                yield lost, InputError(f"frame {lost} of {path.name} does not decode")
            number += failed
            last = video_stamp(number, rate, None if fps else capture.get(cv2.CAP_PROP_POS_MSEC), last)
            yield number, None if image is None else Frame(np.asarray(image, np.uint8), last)
            number, failed = number + 1, 0
    # containers count a frame or two wrongly even when nothing is missing
    if number and info.count - number > max(2, info.count // 100):
        problems.append(f"{path.name} is cut short, {number} of its {info.count} frames could be read")


def uniform_stamp(number: int, fps: float) -> int:
    """Nanoseconds of frame `number` at a constant rate; frame 0 comes one step after 0, which stands for no stamp."""
    return round((number + 1) * 1_000_000_000 / fps)


def video_stamp(number: int, rate: float, position: float | None, last: int) -> int:
    """A frame's stamp in nanoseconds, one step of the mean rate after its time.

    position: milliseconds from the start, as the file says; it counts where time goes on. None: by the rate.
    """
    uniform, step = uniform_stamp(number, rate), round(1e9 / rate)
    if position is None:
        return uniform
    own = round(position * 1e6) + step
    if abs(own - uniform) < 1000:  # the same but for rounding
        return uniform
    if own > last and (position > 0 or number == 0):
        return own
    return uniform if uniform > last else last + step


@contextmanager
def _capture(path: Path) -> Iterator[cv2.VideoCapture]:
    """An open capture; raises InputError. OpenCV and FFmpeg are kept from printing their own complaints."""
    logging: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV before 4.12 has these two by themselves
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        with _printable(path) as name:
            capture = cv2.VideoCapture(name)
    except cv2.error as error:
        raise InputError(f"{path} is not a video that OpenCV can read: {error.err}") from error
    finally:
        logging.setLogLevel(level)
    try:
        if not capture.isOpened() or _is_text(path):
            raise InputError(f"{path} is neither a rosbag2 nor a video that OpenCV can read")
        yield capture
    finally:
        capture.release()


@contextmanager
def _printable(path: Path) -> Iterator[str]:
    """A name of the file that is valid UTF-8: OpenCV crashes on any other."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory(prefix="sdtc-video-") as folder:
            link = Path(folder) / f"video{path.suffix if path.suffix.isascii() else ''}"
            link.symlink_to(path.resolve())
            yield str(link)
    else:
        yield str(path)


def _is_text(path: Path) -> bool:
    """Whether it is plain text, which FFmpeg would show as a film of a terminal."""
    with path.open("rb") as file:
        text = file.read(4096).decode(errors="replace").rstrip("\ufffd")  # the last character may be cut
    return not any(mark in text for mark in "\0\ufffd")
