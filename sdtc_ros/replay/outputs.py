# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Everything a replay writes frame by frame, opened together and closed together, however the replay ends."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.closing import Closing
from sdtc_ros.errors import UsageError
from sdtc_ros.ground_truth.posetrack_write import PoseTrackWriter
from sdtc_ros.ground_truth.truth import Truth
from sdtc_ros.io.annotated_video import AnnotatedVideo
from sdtc_ros.io.bag import ANNOTATED_TOPIC, BagWriter
from sdtc_ros.io.draw import draw_poses
from sdtc_ros.io.sources import Source
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.models.bundle import Bundle
from sdtc_ros.replay.statistics import RunStatistics
from sdtc_ros.types import FramePoses

POSES_BAG, POSETRACK, VIDEO = "poses_bag", "posetrack", "annotated"
REPORT, EVALUATION, RESULT = "report.html", "evaluation.json", "result.json"
LOG, RECORD = "replay.log", "batch.json"  # what a batch puts beside them
_OURS = (POSES_BAG, POSETRACK, f"{VIDEO}.mp4", f"{VIDEO}.avi", REPORT, EVALUATION, RESULT)


@dataclass(frozen=True)
class Wanted:
    """Which streams to write besides the JSON: the poses' bag, the annotated video, annotated images in the bag."""

    bag: bool = True
    video: bool = True
    bag_images: bool = False


class OutputsFullError(Exception):
    """A keyframe could not be written: no room is left, or the disk fails."""


class Outputs(Closing):
    """The streams of one replay, and the numbering that ties frames to the truth; use it in a `with`.

    files: what is written, by its role; numbers: the number in the input of every frame that is still unanswered, by
    its name; replayed: image ids of the truth's frames that were; problems: what could not be written, a clause each.
    """

    def __init__(self, out: Path, wanted: Wanted, source: Source, bundle: Bundle, truth: Truth | None) -> None:
        self._skeleton, self._truth, self._wanted = bundle.skeleton, truth, wanted
        self._ended: OSError | None = None  # why nothing more can be written
        self.problems: list[str] = []
        self._bag: BagWriter | None = None
        self._video: AnnotatedVideo | None = None
        self.files: dict[str, Path] = {}
        self.numbers: dict[str, int] = {}
        self.replayed: set[int] = set()
        # frames that are not annotated must not take an annotated one's id
        self._first_free_id = 1 + max(frame.id for frame in truth.sequence.frames) if truth else 0
        name = truth.sequence.name if truth else source.name
        self._json = PoseTrackWriter(out / POSETRACK / f"{name}.json", bundle.skeleton, source.count)
        self.files["poses"] = self._json.path
        if wanted.bag:
            about = {"model": bundle.name, "bundle": bundle.bundle_hash, "source": source.what}
            self._bag = BagWriter(out / POSES_BAG, about=about)
            self.files["bag"] = self._bag.path
        if wanted.video:
            self._video = AnnotatedVideo(out / VIDEO, source.fps)

    def write(
        self, result: FramePoses, statistics: RunStatistics, read: float, lifted: FramePoses3D | None = None
    ) -> None:
        """Write one keyframe everywhere and add it to the statistics; read: the seconds its frame took to read.

        lifted: the same people in space, where depth was recorded. Raises OutputsFullError where it cannot be written;
        what was before it stays.
        """
        start = perf_counter()
        try:
            self._write(result, statistics, lifted)
        except OSError as error:
            self._ended = error
            raise OutputsFullError from error
        statistics.add(result, {"read": read, **result.timings, "write": perf_counter() - start})

    def _write(self, result: FramePoses, statistics: RunStatistics, lifted: FramePoses3D | None) -> None:
        frame = result.frame
        number = self.numbers.pop(frame.name)
        known = self._truth.frame(number, frame.stamp) if self._truth else None
        image_id = known.id if known else self._first_free_id + number
        self._json.write(result, number, image_id, known.name if known else frame.name, lifted)
        if known:
            self.replayed.add(known.id)
        if self._bag:
            self._bag.write_poses(result, self._skeleton)
            self._bag.write_annotations(result, self._skeleton)
            if lifted is not None:
                self._bag.write_poses_3d(lifted, self._skeleton)
        sampled = statistics.wants_sample()
        if sampled or self._video or (self._bag and self._wanted.bag_images):
            self._write_annotated(result, draw_poses(result, self._skeleton), statistics if sampled else None, number)

    def _write_annotated(
        self, result: FramePoses, annotated: npt.NDArray[np.uint8], statistics: RunStatistics | None, number: int
    ) -> None:
        if self._bag and self._wanted.bag_images:
            self._bag.write_image(ANNOTATED_TOPIC, replace(result.frame, image=annotated), quality=85)
        if self._video:
            self.files["video"] = self._video.write(annotated)
        if statistics:
            statistics.sample(number, len(result.poses), annotated)

    def close(self) -> None:
        """Close every stream, the poses first; a video gives way to them where the disk is full."""
        if self._ended and self._video:
            self._video.discard()
            if self.files.pop("video", None):
                self.problems.append("the annotated video was removed to make room for the poses")
        for stream, role in ((self._json, "poses"), (self._bag, "bag"), (self._video, "video")):
            try:
                if stream is not None:
                    stream.close()
            except OSError as error:
                self._ended = self._ended or error
                self.problems.append(f"{self.files.pop(role).name} is not complete")
        if self._ended:
            reason = self._ended.strerror or self._ended
            self.problems.insert(0, f"what came after these frames could not be written: {reason}")


def results_in(out: Path) -> list[Path]:
    """What a replay into this folder would replace; the record of one that failed at once counts for nothing."""
    there = [out / name for name in _OURS if (out / name).exists()]
    return there if there != [out / RESULT] or read_result(out).get("frames") != 0 else []


def read_result(out: Path) -> dict[str, Any]:
    """What result.json says in a replay's folder; {} where there is none, as of a process that was killed."""
    try:
        content = json.loads((out / RESULT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def prepare_folder(out: Path, overwrite: bool, option: str = "--overwrite") -> None:
    """Make the folder for results; raises UsageError where it holds results already, or cannot be made."""
    there = results_in(out)
    if there and not overwrite:
        raise UsageError(f"{out} already holds results ({there[0].name}); choose another folder or add {option}")
    for path in there:
        remove_results(path)
    try:
        str(out).encode()  # OpenCV crashes on a name that is no UTF-8
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out) as file:
            file.write(bytes(1 << 12))
    except UnicodeEncodeError as error:
        raise UsageError(f"results cannot be written to {out!a}: its name is not valid UTF-8") from error
    except OSError as error:
        raise UsageError(f"results cannot be written to {out}: {error.strerror}") from error


def remove_results(path: Path) -> None:
    """Remove a file of ours, or a folder's files of ours and the folder itself where nothing else is in it."""
    if not path.is_dir():
        path.unlink()
        return
    for child in path.iterdir():
        if child.suffix in (".json", ".part", ".mcap", ".yaml"):
            child.unlink()
    try:
        path.rmdir()
    except OSError as error:
        raise UsageError(f"{path} contains files that are not from a replay; move them away first") from error
