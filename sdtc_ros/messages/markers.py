# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Skeletons for RViz: a visualization_msgs/MarkerArray of a keyframe's people, in the camera's optical frame.

One image tells no distance. Each skeleton lies flat on a plane across the optical axis, as far away as somebody of
`person_height` would stand whose box looks that tall: about right for the standing in a tight box, too far for the
sitting and where the box is cut, too near where it is loose. Projected back into the image every joint is where it was
seen; in space it is an aid to the eye, no measurement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sdtc_ros.colours import joint_colours, limb_colour
from sdtc_ros.lifting.camera import CameraModel, Float64Array
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses, Pose

Lookup = Callable[[str], Any]  # a message class by its type name (see messages.message_types)

LINE_LIST, SPHERE_LIST, TEXT = 5, 7, 9  # visualization_msgs/Marker's types
ADD, DELETE_ALL = 0, 3  # and actions
MIN_SCORE = 0.05  # as draw_poses
LINE, JOINT, LETTER = 0.015, 0.03, 0.08  # sizes, in person heights


def place_in_space(
    pose: Pose, model: CameraModel, person_height: float, rotate: int = 0
) -> tuple[Float64Array, Float64Array]:
    """A person's joints (K x 3) and the middle of the box's upper side (3), metres in the optical frame.

    All have one depth, see the module; NaN where the camera's model knows no ray. rotate: degrees clockwise by which
    the camera's image would have to be turned for people to stand upright in it (see rotation.py).
    """
    head, feet = _ends(pose, rotate)
    rays = model.rays(np.vstack([pose.keypoints[:, :2], head, feet]))
    extent = float(np.linalg.norm(rays[-1] - rays[-2]))
    depth = person_height / extent if extent > 1e-6 else np.nan
    return depth * rays[:-2], depth * rays[-2]


def _ends(pose: Pose, rotate: int) -> tuple[Float64Array, Float64Array]:
    """The middles of the box's upper and lower sides, as the person stands (pixels of the camera's image)."""
    left, top, width, height = np.maximum(np.asarray(pose.box, np.float64), [-np.inf, -np.inf, 1, 1])
    centre = np.array([left + width / 2, top + height / 2])
    up = {0: (0, -height / 2), 90: (-width / 2, 0), 180: (0, height / 2), 270: (width / 2, 0)}[rotate]
    return centre + up, centre - up


def to_markers(
    result: FramePoses,
    skeleton: Skeleton,
    model: CameraModel,
    *,
    person_height: float,
    lifetime: float,
    header: Any,
    lookup: Lookup,
    rotate: int = 0,
    places: Mapping[int, Float64Array] | None = None,
) -> Any:
    """A MarkerArray that replaces the last one: all markers deleted, then limbs, joints and id of every person.

    lifetime: seconds after which markers vanish where no new ones come; places: joints (K x 3, metres in the optical
    frame, NaN where unknown) by track id, where depth tells them.
    """
    build = _Builder(header, lifetime, lookup)
    markers = [build.marker("", 0, LINE_LIST, DELETE_ALL)]
    for pose in result.poses:
        joints, top = place_in_space(pose, model, person_height, rotate)
        known = (places or {}).get(pose.track_id)
        if known is not None and np.isfinite(known).any():
            distance = np.nanmedian(known[:, 2]) / np.nanmedian(joints[:, 2])
            joints, top = np.asarray(known, np.float64), top * distance
        seen = (pose.keypoints[:, 2] >= MIN_SCORE) & np.isfinite(joints).all(axis=1)
        if seen.any():
            markers += _person(build, pose, skeleton, joints, seen, person_height)
        if np.isfinite(top).all():
            markers.append(build.marker("ids", pose.track_id, TEXT, scale=(0, 0, LETTER * person_height), place=top))
            markers[-1].text = str(pose.track_id)
    return lookup("visualization_msgs/msg/MarkerArray")(markers=markers)


def _person(
    build: _Builder, pose: Pose, skeleton: Skeleton, joints: Float64Array, seen: Any, person_height: float
) -> list[Any]:
    """Limbs and joints, coloured as draw_poses does; less sure ones are more transparent."""
    colours, scores = joint_colours(skeleton), pose.keypoints[:, 2].tolist()
    points, tints = [build.point(place) for place in np.nan_to_num(joints).tolist()], []
    ends = []
    for a, b in skeleton.limbs:
        if seen[a] and seen[b]:
            ends += [points[a], points[b]]
            tints += [build.colour(limb_colour(colours[a], colours[b]), min(scores[a], scores[b]))] * 2
    limbs = build.marker("limbs", pose.track_id, LINE_LIST, scale=(LINE * person_height, 0, 0))
    limbs.points, limbs.colors = ends, tints
    dots = build.marker("joints", pose.track_id, SPHERE_LIST, scale=(JOINT * person_height,) * 3)
    dots.points = [point for point, is_seen in zip(points, seen, strict=True) if is_seen]
    dots.colors = [build.colour(colours[k], scores[k]) for k in np.flatnonzero(seen)]
    return [limbs, dots] if ends else [dots]


class _Builder:
    """Makes the parts of markers."""

    def __init__(self, header: Any, lifetime: float, lookup: Lookup) -> None:
        self._marker = lookup("visualization_msgs/msg/Marker")
        self._point, self._vector = lookup("geometry_msgs/msg/Point"), lookup("geometry_msgs/msg/Vector3")
        self._pose, self._quaternion = lookup("geometry_msgs/msg/Pose"), lookup("geometry_msgs/msg/Quaternion")
        self._colour = lookup("std_msgs/msg/ColorRGBA")
        seconds, rest = divmod(lifetime, 1)
        self._header = header
        self._lifetime = lookup("builtin_interfaces/msg/Duration")(sec=int(seconds), nanosec=int(rest * 1e9))

    def marker(
        self,
        space: str,
        number: int,
        kind: int,
        action: int = ADD,
        *,
        scale: tuple[float, ...] = (0, 0, 0),
        place: Any = (0, 0, 0),
    ) -> Any:
        """A marker of its namespace and number, white."""  # fmt: skip
        upright = self._quaternion(x=0.0, y=0.0, z=0.0, w=1.0)
        return self._marker(
            header=self._header, ns=space, id=number, type=kind, action=action, lifetime=self._lifetime,
            pose=self._pose(position=self.point(place), orientation=upright), color=self.colour((255, 255, 255), 1.0),
            scale=self._vector(**dict(zip("xyz", map(float, scale), strict=True))),
        )  # fmt: skip

    def point(self, place: Any) -> Any:
        """A point of three coordinates."""
        return self._point(**dict(zip("xyz", map(float, place), strict=True)))

    def colour(self, bgr: tuple[int, int, int], score: float) -> Any:
        """A colour of draw.py, the more transparent the lower the score."""
        blue, green, red = (value / 255 for value in bgr)
        return self._colour(r=red, g=green, b=blue, a=0.35 + 0.65 * min(max(score, 0.0), 1.0) ** 0.5)
