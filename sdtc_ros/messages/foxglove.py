# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Poses as a foxglove_msgs/ImageAnnotations, drawn over the camera's image by Foxglove and Lichtblick.

One list of lines and one of points a person, coloured as our own images, and its track id. Works on the ROS package
foxglove_msgs where it is installed, and on the bag library's types, whose schema is written with the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sdtc_ros.colours import joint_colours, limb_colour
from sdtc_ros.messages.markers import MIN_SCORE
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses, Pose

ANNOTATIONS_TOPIC = "/sdtc/image_annotations"
ANNOTATIONS_TYPE = "foxglove_msgs/msg/ImageAnnotations"
POINTS, LINE_LIST = 1, 4  # PointsAnnotation's types


def to_image_annotations(result: FramePoses, skeleton: Skeleton, lookup: Callable[[str], Any]) -> Any:
    """The people of one keyframe; lookup: a message class by its type name."""
    build = _Builder(result.frame.stamp, lookup)
    points, texts = [], []
    for pose in result.poses:
        points += _person(pose, skeleton, build)
        left, top, _, height = pose.box.tolist()
        texts.append(build.text(str(pose.track_id), left, top, max(10.0, height / 12)))
    return lookup(ANNOTATIONS_TYPE)(circles=[], points=points, texts=texts)


def _person(pose: Pose, skeleton: Skeleton, build: _Builder) -> list[Any]:
    """Limbs, then joints; those scored under MIN_SCORE are left out, as in images."""
    colours, height = joint_colours(skeleton), max(float(pose.box[3]), 1.0)
    seen = (pose.keypoints[:, 2] >= MIN_SCORE) & np.isfinite(pose.keypoints).all(axis=1)
    places = pose.keypoints[:, :2].tolist()
    limbs = [(a, b) for a, b in skeleton.limbs if seen[a] and seen[b]]
    lines = build.points(
        LINE_LIST,
        [places[end] for limb in limbs for end in limb],
        [limb_colour(colours[a], colours[b]) for a, b in limbs],
        height / 100,
    )
    joints = np.flatnonzero(seen).tolist()
    dots = build.points(POINTS, [places[k] for k in joints], [colours[k] for k in joints], height / 40)
    return [lines, dots]


class _Builder:
    """Makes the parts of the message, all of one stamp."""

    def __init__(self, stamp: int, lookup: Callable[[str], Any]) -> None:
        seconds, nanoseconds = divmod(stamp, 1_000_000_000)
        self._stamp = lookup("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)
        self._points, self._text = (
            lookup("foxglove_msgs/msg/PointsAnnotation"),
            lookup("foxglove_msgs/msg/TextAnnotation"),
        )
        self._point, self._colour = lookup("foxglove_msgs/msg/Point2"), lookup("foxglove_msgs/msg/Color")
        self._none, self._white = self._colour(r=0.0, g=0.0, b=0.0, a=0.0), self._colour(r=1.0, g=1.0, b=1.0, a=1.0)
        self._shade = self._colour(r=0.0, g=0.0, b=0.0, a=0.5)

    def colour(self, bgr: tuple[int, int, int]) -> Any:
        """A colour of our images."""
        blue, green, red = (value / 255 for value in bgr)
        return self._colour(r=red, g=green, b=blue, a=1.0)

    def _place(self, x: float, y: float) -> Any:
        """A place of ours, pixels' centres at whole numbers; in the schema their upper left corners are."""
        return self._point(x=x + 0.5, y=y + 0.5)

    def points(
        self, kind: int, places: list[list[float]], colours: list[tuple[int, int, int]], thickness: float
    ) -> Any:
        """Points or lines, a colour a point or a line."""
        return self._points(
            timestamp=self._stamp, type=kind, points=[self._place(x, y) for x, y in places],
            outline_color=self._white, outline_colors=[self.colour(colour) for colour in colours],
            fill_color=self._none, thickness=thickness,
        )  # fmt: skip

    def text(self, words: str, x: float, y: float, size: float) -> Any:
        """Words whose lower left corner is at x, y."""
        return self._text(
            timestamp=self._stamp, position=self._place(x, y), text=words, font_size=size,
            text_color=self._white, background_color=self._shade,
        )  # fmt: skip
