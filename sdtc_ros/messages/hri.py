# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""People as ROS4HRI (REP 155) has them: /humans/bodies/tracked, and a few topics for every body.

A body's id is opaque and unique, as the REP asks: a tag that is drawn for every camera and start, then the track
id. Its publishers come before its first mention in `tracked` and go after its last. Knows ROS only by the messages'
layout (hri_msgs of Humble and later).
"""

from __future__ import annotations

import random
import string
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import UsageError
from sdtc_ros.messages.images import fill_image_message
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import Frame, FramePoses, Pose

TRACKED, BODY = "/humans/bodies/tracked", "/humans/bodies/{}/{}"
LINGER = 0.5  # seconds that a body is listed after it was last seen, at the least
LINGER_RESULTS = 3  # and as long as so many results of its camera take: one that is missed for a frame does not go
LONGEST_LINGER = 5.0  # but no longer, and for so long while the results' rate is not known
NECK = "neck"  # between the shoulders, as in OpenPose; no skeleton of ours has it by this name
# hri_msgs/Skeleton2D's order
JOINTS = (
    "nose", NECK, "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
    "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "left_eye", "right_eye",
    "left_ear", "right_ear",
)  # fmt: skip

Lookup = Callable[[str], Any]
MakePublisher = Callable[[Any, str], Any]  # message class, topic -> publisher
FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class HriTypes:
    """The message classes that bodies are made of."""

    ids_list: Any
    region: Any
    skeleton: Any
    point: Any
    image: Any


def hri_types(lookup: Lookup) -> HriTypes:
    """The classes that `lookup` gives; raises UsageError where the package hri_msgs is not installed."""
    try:
        return HriTypes(
            ids_list=lookup("hri_msgs/msg/IdsList"),
            region=lookup("hri_msgs/msg/NormalizedRegionOfInterest2D"),
            skeleton=lookup("hri_msgs/msg/Skeleton2D"),
            point=lookup("hri_msgs/msg/NormalizedPointOfInterest2D"),
            image=lookup("sensor_msgs/msg/Image"),
        )
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"parameter 'hri' needs the ROS package hri_msgs, which cannot be used here ({error}): install it "
            "(ros-$ROS_DISTRO-hri-msgs) and source its setup.bash, or set hri to false"
        ) from None


def skeleton2d(pose: Pose, skeleton: Skeleton, size: tuple[int, int]) -> FloatArray:
    """The 18 points of hri_msgs/Skeleton2D: 18 x 3 float32 (x, y from 0 to 1 over an image of `size`, confidence).

    A joint that the skeleton does not have is (0, 0, 0); one outside the image lies on its border, confidence 0.
    """
    at = dict(zip(skeleton.joints, pose.keypoints, strict=True))
    sides = [at["left_shoulder"], at["right_shoulder"]]
    at[NECK] = np.append(np.mean([side[:2] for side in sides], axis=0), min(side[2] for side in sides))
    points = np.array([at.get(joint, (0, 0, 0)) for joint in JOINTS], np.float32)
    known = np.array([joint in at for joint in JOINTS])
    places = _normalised(points[:, :2], size)
    inside = known & ((places >= 0) & (places <= 1)).all(axis=1)
    confidence = np.where(inside, np.clip(points[:, 2], 0, 1), 0)
    places = np.where(known[:, None], np.clip(np.nan_to_num(places), 0, 1), 0)
    return np.column_stack([places, confidence]).astype(np.float32)


def region(box: FloatArray, size: tuple[int, int]) -> tuple[float, float, float, float]:
    """A box (xywh, image pixels) as xmin, ymin, xmax, ymax from 0 to 1, cut at the image's border."""
    corners = np.array([box[:2], box[:2] + box[2:]], np.float64) / size
    xmin, ymin, xmax, ymax = np.clip(corners, 0, 1).reshape(-1).tolist()
    return xmin, ymin, xmax, ymax


def cropped(frame: Frame, box: FloatArray) -> npt.NDArray[np.uint8] | None:
    """The part of the image inside the box, h x w x 3; None where it has no pixel."""
    height, width = frame.image.shape[:2]
    x, y = np.clip(np.rint([box[0], box[0] + box[2]]), 0, width), np.clip(np.rint([box[1], box[1] + box[3]]), 0, height)
    part = frame.image[int(y[0]) : int(y[1]), int(x[0]) : int(x[1])]
    return part if part.size else None


@dataclass
class _Body:
    """One body's camera and publishers, and when it was last seen (monotonic seconds)."""

    camera: str
    roi: Any
    skeleton: Any
    cropped: Any
    seen: float


class Bodies:
    """All bodies that a node's cameras see; may be called from several threads."""

    def __init__(
        self,
        make: MakePublisher,
        destroy: Callable[[Any], object],
        lookup: Lookup,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Make the publisher of the list; raises UsageError where hri_msgs is not installed."""
        self._types = hri_types(lookup)
        self._make, self._destroy, self._clock = make, destroy, clock
        self._tags: dict[str, str] = {}
        self._bodies: dict[str, _Body] = {}
        self._results: dict[str, deque[float]] = {}  # the moments of every camera's last results
        self._lock = threading.Lock()
        self._tracked = make(self._types.ids_list, TRACKED)

    def publish(self, camera: str, result: FramePoses, skeleton: Skeleton, header: Any) -> None:
        """List the bodies, then send each one's region and skeleton, and its image if somebody looks."""
        with self._lock:
            moment = self._clock()
            self._results.setdefault(camera, deque(maxlen=4)).append(moment)
            seen = [(self._body(camera, pose.track_id, moment), pose) for pose in result.poses]
            gone = self._left(moment)
            self._tracked.publish(self._types.ids_list(header=header, ids=list(self._bodies)))
            self._remove(gone)
            for body, pose in seen:
                self._send(body, pose, result.frame, skeleton, header)

    def expire(self, header: Any) -> None:
        """Take off the list who has not been seen for long, where cameras are silent; call it every second."""
        with self._lock:
            gone = self._left(self._clock())
            if gone:
                self._tracked.publish(self._types.ids_list(header=header, ids=list(self._bodies)))
                self._remove(gone)

    def close(self) -> None:
        """Destroy all publishers."""
        with self._lock:
            self._remove(list(self._bodies.values()))
            self._bodies.clear()
            self._destroy(self._tracked)

    def _id(self, camera: str, track: int) -> str:
        if camera not in self._tags:
            self._tags[camera] = "".join(random.choices(string.ascii_lowercase, k=5))
        return f"{self._tags[camera]}{track}"

    def _body(self, camera: str, track: int, moment: float) -> _Body:
        name = self._id(camera, track)
        if name not in self._bodies:
            self._bodies[name] = _Body(
                camera,
                self._make(self._types.region, BODY.format(name, "roi")),
                self._make(self._types.skeleton, BODY.format(name, "skeleton2d")),
                self._make(self._types.image, BODY.format(name, "cropped")),
                moment,
            )
        self._bodies[name].seen = moment
        return self._bodies[name]

    def _left(self, moment: float) -> list[_Body]:
        """Strike out the bodies that were not seen for as long as their cameras' results allow."""
        lingers = {camera: _linger(moments) for camera, moments in self._results.items()}
        names = [name for name, body in self._bodies.items() if body.seen < moment - lingers[body.camera]]
        return [self._bodies.pop(name) for name in names]

    def _remove(self, bodies: list[_Body]) -> None:
        for body in bodies:
            for publisher in (body.roi, body.skeleton, body.cropped):
                self._destroy(publisher)

    def _send(self, body: _Body, pose: Pose, frame: Frame, skeleton: Skeleton, header: Any) -> None:
        height, width = frame.image.shape[:2]
        xmin, ymin, xmax, ymax = region(pose.box, (width, height))
        confidence = min(max(pose.box_score, 0.0), 1.0)
        body.roi.publish(self._types.region(header=header, xmin=xmin, ymin=ymin, xmax=xmax, ymax=ymax, c=confidence))
        points = [self._types.point(x=x, y=y, c=c) for x, y, c in skeleton2d(pose, skeleton, (width, height)).tolist()]
        body.skeleton.publish(self._types.skeleton(header=header, skeleton=points))
        if body.cropped.get_subscription_count() and (part := cropped(frame, pose.box)) is not None:
            body.cropped.publish(fill_image_message(self._types.image(header=header), part))


def _linger(moments: Sequence[float]) -> float:
    """Seconds that an unseen body stays listed, by the longest interval between its camera's last results."""
    intervals = [after - before for before, after in zip(moments, list(moments)[1:], strict=False)]
    return min(max(LINGER, LINGER_RESULTS * max(intervals)), LONGEST_LINGER) if intervals else LONGEST_LINGER


def _normalised(points: FloatArray, size: tuple[int, int]) -> FloatArray:
    """N x 2 pixels, whose centres lie at whole numbers, as parts of the image's sides."""
    return np.asarray((points + 0.5) / size, np.float32)
