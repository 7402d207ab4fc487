# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Windows of the people in the user's own videos, for adapting a shipped model to a scene without labels.

The shipped pipeline (detector, tracker, a model as it is) watches the videos once. Where it tracks a person over a
whole window, five crops are kept with the joints that it is sure of, in the format of rendered windows
(training.synthetic.shards). Stage "trunk" then corrupts them: the model learns to answer for the occluded, blurred,
dark crop what it answered for the clean one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from lightning.pytorch.utilities import rank_zero_only
from tqdm import tqdm

from sdtc_ros.crops import ENLARGE, crop_boxes, crop_images, to_crop
from sdtc_ros.detection.factory import make_detector
from sdtc_ros.errors import InputError
from sdtc_ros.io.sources import open_source
from sdtc_ros.models.bundle import default_bundle, load_bundle
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, Pose
from training.data.cached import make_once
from training.data.people_windows import Array, PeopleWindows, PeopleWindowsConfig
from training.synthetic.shards import SHARD

_log = logging.getLogger(__name__)

ROOM = 1.15  # of a window's crop beyond a model's: what shaking it needs
QUALITY = 95  # of the crops' JPEGs
VERSION = 1  # of what lies in a folder, and of the detector: part of its name


@dataclass
class FootageConfig(PeopleWindowsConfig):
    """The videos (files, bags or folders of images) and what is taken from them; the rest as for rendered windows.

    labels: the bundle that says where joints are (empty: the default one); sure: the score from which one is taken;
    windows: at most so many, spread evenly; held_out: the share, at each video's end, that validates; folder: where
    they are cached.
    """

    videos: list[str] = field(default_factory=list)
    labels: str = ""
    sure: float = 0.5
    windows: int = 800
    held_out: float = 0.1
    folder: str = "runs/footage"


class Seen(NamedTuple):
    """A window's keyframe: the frame's number, the person's crop box (xywh, pixels), joints T x K x 3 (x, y, score)."""

    frame: int
    box: Array
    joints: Array


class Packed(NamedTuple):
    """One window of a shard: T JPEGs, joints T x K x 2 in the crop, their visibility T x K (0 not sure, 2 sure)."""

    codes: list[Array]
    joints: Array
    visibility: Array


class Footage(PeopleWindows):
    """Windows of the videos' people to train and validate on; they are made where they are not cached yet."""

    boxes = "the detector's boxes, shaken"

    def __init__(self, config: FootageConfig) -> None:
        super().__init__(config)
        self.footage = config

    def setup(self, stage: str) -> None:
        """Watch the videos, or open what was taken from them before; InputError where they show too few people."""
        if self.train_set is not None:
            return
        place = Path(self.footage.folder) / _digest(self.footage)
        rank_zero_only(make_once)(place, self._make)
        assert self.trainer is not None
        self.trainer.strategy.barrier()
        self.config = replace(self.footage, train=str(place / "train"), validation=str(place / "val"))
        super().setup(stage)
        windows, batch = len(self.train_set or []), self.config.batch * self.trainer.world_size
        if windows < batch:
            raise InputError(
                f"the videos gave {windows} windows, a step takes {batch}: give longer ones, or a smaller batch"
            )

    def _make(self, folder: Path) -> None:
        c = self.footage
        parts: dict[str, list[Packed]] = {"train": [], "val": []}
        for video in c.videos:
            seen = spread(tracked_windows(watch(video, c.labels), c.delta, c.sure), c.windows // len(c.videos))
            if not seen:
                _log.warning("%s: nobody was tracked over %d frames in a row", video, 2 * c.delta + 1)
                continue
            last = seen[-1].frame - c.held_out * (seen[-1].frame - seen[0].frame)
            for window, crops in cut(video, seen, c.delta, c.size):
                parts["val" if window.frame > last else "train"].append(packed(window, crops, c.size, c.sure))
        if not all(parts.values()):
            raise InputError("the videos show nobody for long enough to train and to validate on: give longer ones")
        for name, windows in parts.items():
            (folder / name).mkdir()
            for number in range(0, len(windows), SHARD):
                _write(folder / name / f"windows-{number // SHARD:05d}.npz", windows[number : number + SHARD])


def watch(video: str, labels: str) -> list[list[Pose]]:
    """Whom the pipeline on bundle `labels` finds in each frame of a video, in order."""
    pipeline = Pipeline.from_bundle(labels or default_bundle(), detector=make_detector())
    if pipeline.bundle.skeleton.joints != POSETRACK.joints:
        raise InputError(f"{labels} has other joints than PoseTrack's 15: choose sdtc-lite or sdtc-base as `labels`")
    source = open_source(video)
    results = (
        pipeline.process(frame) for _, frame in tqdm(source.frames, Path(video).name, source.count, disable=None)
    )
    people = [result.poses for result in results if result is not None]  # without the images
    people += [result.poses for result in pipeline.flush()]
    for problem in source.problems:
        _log.warning("%s: %s", video, problem)
    return people


def tracked_windows(frames: list[list[Pose]], delta: int, sure: float) -> list[Seen]:
    """A window for each person of each frame who is tracked from delta frames before to delta after, and half seen."""
    people = [{pose.track_id: pose for pose in poses} for poses in frames]
    found = []
    for t in range(delta, len(frames) - delta):
        for track, pose in people[t].items():
            near = [people[n].get(track) for n in range(t - delta, t + delta + 1)]
            whole = [one for one in near if one is not None]
            if len(whole) == len(near) and (pose.keypoints[:, 2] >= sure).mean() >= 0.5:
                found.append(Seen(t, pose.box, np.stack([one.keypoints for one in whole])))
    return found


def spread(windows: list[Seen], most: int) -> list[Seen]:
    """At most so many of them, evenly over time."""
    if len(windows) <= most:
        return windows
    return [windows[i] for i in np.linspace(0, len(windows) - 1, max(most, 1)).round().astype(int)]


def cut(video: str, windows: list[Seen], delta: int, size: tuple[int, int]) -> Iterator[tuple[Seen, Array]]:
    """Each window with its frames' crops by the keyframe's box, T x H x W x 3 uint8, and the crop's box in `box`."""
    wanted: dict[int, list[Seen]] = {}
    for window in windows:
        wanted.setdefault(window.frame, []).append(window)
    recent: deque[Frame] = deque(maxlen=2 * delta + 1)
    for number, (_, frame) in enumerate(open_source(video).frames):
        recent.append(frame)
        for window in wanted.get(number - delta, []):
            box = crop_boxes(window.box[None], size[0] / size[1], ENLARGE * ROOM)
            yield window._replace(box=box), np.concatenate([crop_images(one.image, box, size) for one in recent])


def packed(window: Seen, crops: Array, size: tuple[int, int], sure: float) -> Packed:
    """A window as it is kept; crops as `cut` gives them, of `size`."""
    joints = to_crop(window.joints[..., :2], np.repeat(window.box, len(crops), axis=0), size)
    codes = [cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].ravel() for crop in crops]
    return Packed(codes, joints, np.uint8(2) * (window.joints[..., 2] >= sure))


def _write(path: Path, windows: list[Packed]) -> None:
    codes = [code for window in windows for code in window.codes]
    np.savez(
        path, jpeg=np.concatenate(codes), offsets=np.cumsum([0, *map(len, codes)]),
        joints=np.stack([window.joints for window in windows]),
        visibility=np.stack([window.visibility for window in windows]),
    )  # fmt: skip


def _digest(config: FootageConfig) -> str:
    """Of everything that decides what is taken from the videos; InputError where one is missing."""
    if not config.videos:
        raise InputError("no footage: name at least one video (--data.init_args.config.videos '[a.mp4, b.mp4]')")
    c, bundle = config, load_bundle(config.labels or default_bundle())
    labels = json.loads((bundle.folder / "model.json").read_text())["files"]
    files = [_files(video) for video in c.videos]
    decides = [VERSION, files, labels, c.sure, c.windows, c.held_out, list(c.size), c.delta]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]


def _files(video: str) -> list[list[object]]:
    path = Path(video)
    if not path.exists():
        raise InputError(f"{video} does not exist; expected a rosbag2, a video or a folder of images")
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return [[str(one.resolve()), one.stat().st_size, one.stat().st_mtime_ns] for one in files]
