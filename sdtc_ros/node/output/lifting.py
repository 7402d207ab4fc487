# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joints in metres while the node runs: the depth image of a keyframe's stamp, the camera's model, and what was missed.

Knows no ROS, only messages' attributes. Depth is heard in the executor's thread and used in the worker's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sdtc_ros.errors import InputError
from sdtc_ros.lifting.depth_buffer import DepthBuffer
from sdtc_ros.lifting.lifter import Lifter, LiftingConfig
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.messages.camera_model import camera_model, view_difference
from sdtc_ros.messages.depth import FloatArray, depth_of_message
from sdtc_ros.messages.poses import stamp_of
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses


class LiveLifting:
    """Lifts one camera's keyframes; what cannot be used is counted, reported, and never stops the poses in the image.

    lifted: keyframes with depth; waited: those whose depth was waited for; without_depth: those for which none came in
    time (joints are propagated only); blank: those whose depth image shows nothing; elsewhere: those whose depth is of
    another frame than the image; unregistered: those whose depth's camera_info shows another view than the image's;
    unfit: those that could not be lifted at all.
    """

    def __init__(self, warn: Callable[[str, str], object], max_carry: float) -> None:
        """warn: called with what it is about, and a sentence; max_carry: as LiftingConfig's."""
        self._images = DepthBuffer[Any]()  # not decoded: most are of frames that no keyframe needs
        self.lifted = self.waited = self.without_depth = self.blank = self.elsewhere = 0
        self.unregistered = self.unfit = 0
        self._warn, self._config = warn, LiftingConfig(max_carry=max_carry)
        self._lifter: Lifter | None = None
        self._skeleton: Skeleton | None = None

    def hear(self, message: Any) -> None:
        """A depth image has come."""
        self._images.add(stamp_of(message.header), message)

    def lift(
        self, result: FramePoses, skeleton: Skeleton, info: Any, tolerance: float, wait: float = 0.0,
        depth_info: Any = None,
    ) -> FramePoses3D | None:  # fmt: skip
        """A keyframe's people in space; None where that is not possible.

        info: the newest CameraInfo, or None; tolerance: seconds between the stamps of image and depth; wait: seconds
        that a depth image may come later than the poses; depth_info: the newest CameraInfo of the depth, or None.
        """
        if self._lifter is None or skeleton is not self._skeleton:
            self._lifter, self._skeleton = Lifter(skeleton, self._config), skeleton
        if info is None:
            self.unfit += 1  # that it is waited for is told by who listens to it
            return None
        height, width = result.frame.image.shape[:2]
        self.waited += self._images.wait(result.frame.stamp, wait)
        message = self._images.nearest(result.frame.stamp, tolerance)
        try:
            depth = None if message is None else depth_of_message(message)
            self._check(message, depth, result.frame.frame_id)
            self._compare(depth, depth_info, info)
            lifted = self._lifter.lift(result, depth, camera_model(info, (width, height)))
        except InputError as error:
            self.unfit += 1
            self._warn("depth", f"there are no joints in space: {error}")
            return None
        if depth is None:
            self.without_depth += 1
            self._warn(
                "depth",
                f"no depth image came within {tolerance:g} s of the image of stamp {result.frame.stamp}: are the two "
                "synchronised (depth_tolerance)? Joints in space are propagated only",
            )
        else:
            self.lifted += 1
        return lifted

    def _check(self, message: Any, depth: FloatArray | None, frame_id: str) -> None:
        """Count and tell what is odd about a depth image that can be used all the same."""
        if depth is None:
            return
        if not (depth > 0).any():
            self.blank += 1
            self._warn("depth", "the depth image shows nothing: all its values are 0 or not finite")
        own = message.header.frame_id
        if own != frame_id:
            self.elsewhere += 1
            self._warn(
                "depth", f"the depth image is of the frame {own!r}, the image of {frame_id!r}: if it is not registered "
                "(aligned) to the colour camera, joints in space are wrong"
            )  # fmt: skip

    def _compare(self, depth: FloatArray | None, depth_info: Any, info: Any) -> None:
        """Count and tell depth of another view than the image's, by camera_info."""
        difference = view_difference(depth_info, info) if depth is not None and depth_info is not None else ""
        if difference:
            self.unregistered += 1
            self._warn(
                "depth", f"the depth is not registered (aligned) to the image, by camera_info: {difference}. Joints in "
                "space are wrong; take the camera's registered depth topic"
            )  # fmt: skip

    def values(self) -> dict[str, str]:
        """For the diagnostics."""
        return {
            "frames in space": str(self.lifted),
            "in space, depth waited for": str(self.waited),
            "in space, without depth": str(self.without_depth),
            "in space, depth shows nothing": str(self.blank),
            "in space, depth of another frame": str(self.elsewhere),
            "in space, depth not registered": str(self.unregistered),
            "in space, not possible": str(self.unfit),
        }
