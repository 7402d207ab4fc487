# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What is made to be looked at, off the way of the poses: a thread of its own that takes the newest frame only.

Drawing and encoding run beside the next frame's inference (OpenCV lets other threads run meanwhile). Knows no ROS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from sdtc_ros.io.draw import draw_poses
from sdtc_ros.node.worker import Inbox
from sdtc_ros.pipeline.rotation import solid_copy
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses, Pose

Image = npt.NDArray[np.uint8]
Job = Callable[[], object]


class Renderer:
    """Runs jobs one after the other in its thread; of each sender only the newest that has not begun.

    failed is called in that thread with the exception that ended a job; the next one runs all the same.
    """

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._inbox: Inbox[Job] = Inbox()
        self._thread = threading.Thread(target=self._run, name="sdtc-renderer", daemon=True)
        self._started = threading.Lock()

    def put(self, sender: int, job: Job) -> None:
        """Have `job` run soon, in place of the sender's last one where that still waits."""
        if self._started.acquire(blocking=False):  # never given back: only the first job starts the thread
            self._thread.start()
        self._inbox.put(sender, job)

    def close(self, seconds: float | None) -> bool:
        """Begin no more jobs; whether the one at work ended within `seconds` (None: wait for it)."""
        self._inbox.close()
        if self._started.locked():
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._inbox.closed:
            for job in self._inbox.take(None).values():
                if self._inbox.closed:
                    return
                try:
                    job()
                except Exception as error:  # an image that cannot be drawn is no reason to stop the poses
                    if not self._inbox.closed:
                        self._failed(error)


def annotated_size(size: tuple[int, int], max_width: int) -> tuple[int, int]:
    """Width and height of the annotated image of one of `size`; max_width as in `annotated_image`."""
    width, height = size
    return size if not 0 < max_width < width else (max_width, max(1, round(height * max_width / width)))


def annotated_image(result: FramePoses, skeleton: Skeleton, max_width: int = 0) -> Image:
    """The frame's image with its poses drawn, scaled down to `max_width` pixels where it is wider (0: never)."""
    image = result.frame.image
    size = annotated_size((image.shape[1], image.shape[0]), max_width)
    if size[0] == image.shape[1]:
        return draw_poses(result, skeleton)
    scale = np.array([size[0] / image.shape[1], size[1] / image.shape[0]], np.float32)
    solid = image if image.flags.c_contiguous else solid_copy(image)
    small = np.asarray(cv2.resize(solid, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    frame = replace(result.frame, image=small)
    return draw_poses(FramePoses(frame, [_scaled(pose, scale) for pose in result.poses]), skeleton, in_place=True)


def to_jpeg(image: Image, quality: int) -> Image:
    """An H x W x 3 BGR image as a JPEG file (N uint8); quality 1 to 100."""
    return np.asarray(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], np.uint8).reshape(-1)


def _scaled(pose: Pose, scale: npt.NDArray[np.float32]) -> Pose:
    """A pose in the pixels of the image scaled by `scale` (x, y); pixel centres lie at whole numbers."""
    points = (pose.keypoints[:, :2] + 0.5) * scale - 0.5
    box = np.concatenate([pose.box[:2] * scale, pose.box[2:] * scale])
    return replace(pose, box=box.astype(np.float32), keypoints=np.column_stack([points, pose.keypoints[:, 2]]))
