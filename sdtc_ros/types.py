# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What goes into the pipeline and what comes out of it: frames, boxes, poses."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """One camera image. `image` is H x W x 3 uint8 BGR, `stamp` nanoseconds since the epoch of its source."""

    image: npt.NDArray[np.uint8]
    stamp: int
    frame_id: str = ""
    name: str = ""  # the source's own name of it (a file name, a PoseTrack image path), where it has one


@dataclass(frozen=True)
class Boxes:
    """N person boxes of one frame: `xywh` N x 4 float32 (left, top, width, height; image pixels), `scores` N in 0..1.

    `ids` are external track ids (N int64), or None where the pipeline is to track by itself.
    """

    xywh: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    ids: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.xywh)


@dataclass(frozen=True)
class Pose:
    """One tracked person in one frame.

    box: 4 float32 (left, top, width, height; image pixels); keypoints: K x 3 float32 (x, y in image pixels, score
    0..1) in skeleton order; covariance: K x 3 float32, of each joint's place (xx, xy, yy), image pixels squared;
    score: mean joint score x box score.
    """

    track_id: int
    box: npt.NDArray[np.float32]
    box_score: float
    keypoints: npt.NDArray[np.float32]
    covariance: npt.NDArray[np.float32]
    score: float

    @property
    def joint_scores(self) -> npt.NDArray[np.float32]:
        """K float32, what evaluation orders joints by: each joint's own score x the box's, as training's validation.

        The box's is taken from `score`, which a message has too: a recording gives the same to the bit.
        """
        own = self.keypoints[:, 2]
        mean = own.mean()
        return np.asarray(own * np.float32(self.score / mean if mean > 0 else 0), np.float32)


@dataclass(frozen=True)
class FramePoses:
    """The poses of one keyframe, with the stage times (seconds) that were spent on the call that made them.

    duplicates: ids of tracks that are left out, as their poses showed people who are there already.
    """

    frame: Frame
    poses: list[Pose]
    timings: dict[str, float] = field(default_factory=dict)
    duplicates: tuple[int, ...] = ()
