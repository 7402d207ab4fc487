# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A replay's joints in metres: each keyframe's poses lifted with the depth image that was recorded beside it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag import is_bag
from sdtc_ros.io.depth import AUTO, BagDepth
from sdtc_ros.lifting.camera import CameraModel
from sdtc_ros.lifting.lifter import Lifter, LiftingConfig
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.messages.depth import FloatArray
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses


@dataclass(frozen=True)
class DepthOptions:
    """Where depth comes from.

    topic: of the bag's depth images, registered to the colour images ('auto': its only one; empty: no depth is used);
    camera_info: of the colour camera ('auto': the one beside the depth, or the only one); tolerance: seconds between
    the stamps of a colour and a depth image.
    """

    topic: str = ""
    camera_info: str = AUTO
    tolerance: float = 0.02
    lifting: LiftingConfig = field(default_factory=LiftingConfig)


class ReplayLifting:
    """Lifts keyframes in their order; what depth cannot be used is counted, and never stops the poses in the image."""

    def __init__(self, source: Path, options: DepthOptions, skeleton: Skeleton, image: str | None = None) -> None:
        """Open the topics; image: of the colour images, None for the bag's only one.

        Raises UsageError where `source` is no bag or has no such topics, InputError for one that cannot be read.
        """
        if not is_bag(source):
            raise UsageError(f"--depth needs a bag, and {source} is not a bag")
        self._depth = BagDepth(source, options.topic, options.camera_info, options.tolerance, image)
        self._lifter = Lifter(skeleton, options.lifting)
        self._cameras: dict[tuple[int, int], CameraModel | None] = {}
        self._unfit, self._reason = 0, ""
        self._blank, self._elsewhere, self._frames = 0, 0, ("", "")
        self._unregistered = 0

    @property
    def problems(self) -> list[str]:
        """What of the depth was lost, a clause each."""
        unfit = [f"{self._unfit} frames have no joints in space ({self._reason})"] if self._unfit else []
        blank = [f"{self._blank} depth images show nothing: all values are 0 or not finite"] if self._blank else []
        own, other = self._frames
        elsewhere = [
            f"{self._elsewhere} depth images are of the frame {own!r}, not of the image's {other!r}: if they are not "
            "registered (aligned) to the colour camera, joints in space are wrong"
        ]
        unregistered = [
            f"{self._unregistered} depth images are not registered (aligned) to the image, by camera_info: "
            f"{self._depth.difference}; joints in space are wrong"
        ]
        return [
            *self._depth.problems, *unfit, *blank, *(elsewhere if self._elsewhere else []),
            *(unregistered if self._unregistered else []),
        ]  # fmt: skip

    def lift(self, result: FramePoses) -> FramePoses3D | None:
        """The keyframe's people in space; None where camera_info or the depth's size do not fit the image."""
        height, width = result.frame.image.shape[:2]
        try:
            if (width, height) not in self._cameras:
                self._cameras[width, height] = None
                self._cameras[width, height] = self._depth.camera((width, height))
            camera = self._cameras[width, height]
            if camera is not None:
                depth = self._depth.at(result.frame.stamp)
                self._check(depth, result.frame.frame_id)
                return self._lifter.lift(result, depth, camera)
        except InputError as error:
            self._reason = self._reason or str(error)
        self._unfit += 1
        return None

    def _check(self, depth: FloatArray | None, frame_id: str) -> None:
        """Count what is odd about a depth image that can be used all the same."""
        if depth is None:
            return
        self._blank += not (depth > 0).any()
        self._unregistered += bool(self._depth.difference)
        if self._depth.frame_id != frame_id:
            self._elsewhere += 1
            self._frames = self._depth.frame_id, frame_id
