# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""From poses in the image and a registered depth image to joints in metres, one camera a lifter.

For every joint: the surfaces under its covariance ellipse (`surfaces`), each moved along the ray by the joint's depth
under the skin (`body`); one surface a joint, so that together they make a body (`choice`); where none fits, the depth
of an earlier frame on this frame's ray, for at most `max_carry` seconds and with growing covariance (`memory`);
otherwise unknown. NumPy and OpenCV only; knows no ROS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.lifting.body import body_of
from sdtc_ros.lifting.camera import CameraModel
from sdtc_ros.lifting.choice import Expected, choose_surfaces
from sdtc_ros.lifting.distance import Distances, distances, filled
from sdtc_ros.lifting.memory import Memory, Past
from sdtc_ros.lifting.poses3d import OBSERVED, PROPAGATED, UNKNOWN, FramePoses3D, Pose3D
from sdtc_ros.lifting.size import depth_by_size
from sdtc_ros.lifting.surfaces import CANDIDATES, depths_near, known_median, surfaces_under
from sdtc_ros.lifting.turn import turned
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import FramePoses

Float64Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

WIDEST, NARROWEST = 0.75, 0.5  # limb radii: bounds of the sampled ellipse's deviation
# an observed depth's deviation, so that it holds 68 % of visible joints: the place under the skin (metres), a depth
# camera's noise (metres a metre squared), and a part of the surface's own deviation
INSIDE, NOISE, ROUGH = 0.013, 0.0018, 0.3


@dataclass(frozen=True)
class LiftingConfig:
    """Settings of a lifter.

    min_score: a joint scored lower in the image is unknown; max_carry: seconds for which an unseen joint's depth is
    propagated; max_range: metres beyond which a depth is not believed.
    """

    min_score: float = 0.05
    max_carry: float = 0.5
    max_range: float = 12.0

    def __post_init__(self) -> None:
        """Raise UsageError for a value without sense."""
        for name in ("min_score", "max_carry"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not self.max_range > 0:
            raise UsageError(f"max_range must be > 0 metres, got {self.max_range}")


class Lifter:
    """Joints in metres for one stream of frames; remembers each track's last depths."""

    def __init__(self, skeleton: Skeleton, config: LiftingConfig | None = None) -> None:
        """A lifter for poses of that skeleton."""
        self.config = config or LiftingConfig()
        self._body, self._count = body_of(skeleton), len(skeleton)
        self._memory = Memory(self._count, self._body)

    def reset(self) -> None:
        """Forget all tracks."""
        self._memory = Memory(self._count, self._body)

    def lift(self, result: FramePoses, depth: FloatArray | None, camera: CameraModel) -> FramePoses3D:
        """The people of a keyframe in space.

        depth: H x W float32 metres, of the keyframe's own size and view (0 or not finite: unknown), or None where there
        is none for this frame: joints are then propagated only. Raises InputError where its size is not the frame's.
        """
        stamp, size = result.frame.stamp, result.frame.image.shape[:2]
        if depth is not None and depth.shape != size:
            raise InputError(
                f"the depth image is {depth.shape[1]} x {depth.shape[0]} but the colour image {size[1]} x {size[0]}: "
                "use depth registered (aligned) to the colour camera"
            )
        self._memory.forget(stamp, max(self.config.max_carry, 5.0))
        if not result.poses:
            return FramePoses3D(result, [])
        seen = _Seen(
            np.stack([pose.keypoints for pose in result.poses]).astype(np.float64),
            np.stack([pose.covariance for pose in result.poses]).astype(np.float64),
            np.stack([pose.box for pose in result.poses]).astype(np.float64),
            camera,
        )
        past = self._memory.past([pose.track_id for pose in result.poses], stamp)
        depths, deviations, states = self._joints(self._observe(depth, seen, past), seen, past, stamp)
        joints = (depths[..., None] * seen.rays).astype(np.float32)
        covariances = _covariances(depths, deviations, seen).astype(np.float32)
        scores = np.where(states == UNKNOWN, 0, seen.keypoints[..., 2]).astype(np.float32)
        return FramePoses3D(
            result,
            [
                Pose3D(pose, joints[index], covariances[index], scores[index], states[index])
                for index, pose in enumerate(result.poses)
            ],
        )

    def _observe(self, depth: FloatArray | None, seen: _Seen, past: Past) -> _Found:
        """What this frame's depth says of the joints of P people."""
        shape = seen.keypoints.shape[:2]
        if depth is None:
            return _Found(np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape[0], np.nan))
        far = self._distances(depth, seen, past)
        rough = far.rough
        limbs = seen.focal * self._body.radii / rough[:, None]  # P x K pixels
        pixels, ellipses = seen.keypoints[..., :2].reshape(-1, 2), _clipped(seen.covariance, limbs)
        surfaces = surfaces_under(depth, pixels, ellipses, self.config.max_range)
        candidates = (*shape, CANDIDATES)
        z = surfaces.depths.reshape(candidates) + (self._body.offsets / seen.stretch)[..., None]
        sure = seen.keypoints[..., 2:] >= self.config.min_score
        weights = np.where(sure & ~(z < far.nearest[:, None, None]), surfaces.weights.reshape(candidates), 0.0)
        depths, deviations = past.depths + rough[:, None], past.deviations
        unseen = np.where(np.isfinite(depths), depths, rough[:, None])[..., None] * seen.rays
        chosen = choose_surfaces(
            z[..., None] * seen.rays[:, :, None],
            weights,
            Expected(depths, deviations, unseen, rough),
            past.longest,
            self._body,
        )
        taken = _taken(z, chosen)
        turn = turned(seen.rays, taken, sure[..., 0], rough, self._body)
        taken += (turn[:, :1] * self._body.turns + turn[:, 1:] * self._body.fronts) / seen.stretch
        roughness = _taken(surfaces.deviations.reshape(candidates), chosen)
        place = known_median(taken - past.depths)  # by all joints that were seen before
        torso = _first(place, known_median(taken[:, self._body.torso]), known_median(taken))
        deviations = np.sqrt(INSIDE**2 + (NOISE * taken**2) ** 2 + (ROUGH * roughness) ** 2)
        return _Found(taken, deviations, torso)

    def _distances(self, depth: FloatArray, seen: _Seen, past: Past) -> Distances:
        """How far each of P people is."""
        shape, torso = seen.keypoints.shape[:2], self._body.torso
        near = depths_near(depth, seen.keypoints[..., :2].reshape(-1, 2), self.config.max_range).reshape(shape)
        size = depth_by_size(seen.keypoints, self.config.min_score, seen.focal, self._body)
        sure = seen.keypoints[:, torso, 2:] >= self.config.min_score
        middle = np.where(sure, seen.rays[:, torso, :2], np.nan).mean(axis=1)
        return distances(near, past, size, middle, filled(seen.keypoints, seen.boxes), self._body)

    def _joints(
        self, found: _Found, seen: _Seen, past: Past, stamp: int
    ) -> tuple[Float64Array, Float64Array, npt.NDArray[np.uint8]]:
        """Depths and deviations (P x K metres), observed or propagated, and the joints' states; remembers them."""
        torso = np.where(np.isfinite(found.torso), found.torso, past.torso)
        earlier = past.depths + torso[:, None]
        observed = np.isfinite(found.depths)
        sure = seen.keypoints[..., 2] >= self.config.min_score
        propagated = ~observed & sure & (past.ages <= self.config.max_carry) & (earlier > 0)  # NaN is not
        self._memory.remember(past, stamp, torso, found.depths[..., None] * seen.rays, found.deviations)
        z = np.where(propagated, earlier, found.depths)
        deviations = np.where(propagated, past.deviations, found.deviations)
        return z, deviations, np.where(observed, OBSERVED, np.where(propagated, PROPAGATED, UNKNOWN)).astype(np.uint8)


@dataclass(frozen=True)
class _Found:
    """What a frame's depth gave: P x K depths and deviations (metres, NaN where nothing), P torso depths."""

    depths: Float64Array
    deviations: Float64Array
    torso: Float64Array


class _Seen:
    """The joints of P people in the image, and the rays through them.

    keypoints: P x K x 3; covariance: P x K x 3 (xx, xy, yy; pixels squared); boxes: P x 4 (x, y, w, h); rays: P x K x 3
    (x, y, 1); stretch: P x K, the rays' lengths; slopes: P x K x 3 x 2, how a ray moves with the pixel; focal: pixels.
    """

    def __init__(
        self, keypoints: Float64Array, covariance: Float64Array, boxes: Float64Array, camera: CameraModel
    ) -> None:
        self.keypoints, self.covariance, self.boxes = keypoints, covariance, boxes
        pixels = keypoints[..., :2].reshape(-1, 2)
        rays = camera.rays(np.concatenate([pixels, pixels + [1, 0], pixels + [0, 1]])).reshape(3, *keypoints.shape)
        self.rays = rays[0]
        self.slopes = np.stack([rays[1] - rays[0], rays[2] - rays[0]], axis=-1)
        self.stretch = np.linalg.norm(self.rays, axis=-1)
        self.focal = float(camera.matrix[0, 0] + camera.matrix[1, 1]) / 2


def _clipped(covariance: Float64Array, limbs: Float64Array) -> Float64Array:
    """The ellipses to sample (P*K x 3): the joints' covariances, no wider and not much narrower than the limb.

    limbs: P x K radii in pixels.
    """
    size = np.sqrt(np.maximum(covariance[..., 0] + covariance[..., 2], 1e-6) / 2)
    factor = np.minimum(1.0, WIDEST * limbs / size) ** 2
    ellipses = covariance * factor[..., None]
    least = (NARROWEST * limbs) ** 2 + 0.5
    ellipses[..., 0], ellipses[..., 2] = np.maximum(ellipses[..., 0], least), np.maximum(ellipses[..., 2], least)
    return ellipses.reshape(-1, 3)


def _taken(values: Float64Array, chosen: npt.NDArray[np.int64]) -> Float64Array:
    """P x K of the P x K x C values those chosen, NaN for -1."""
    taken = np.take_along_axis(values, np.maximum(chosen, 0)[..., None], axis=2)[..., 0]
    return np.where(chosen >= 0, taken, np.nan)


def _first(*values: Float64Array) -> Float64Array:
    """Of each row's values the first that is known, NaN where none is."""
    result = values[0]
    for other in values[1:]:
        result = np.where(np.isnan(result), other, result)
    return result


def _covariances(z: Float64Array, deviations: Float64Array, seen: _Seen) -> Float64Array:
    """P x K x 3 x 3 metres squared: the image's covariance at that depth, and the depth's along the ray."""
    xx, xy, yy = np.moveaxis(seen.covariance, -1, 0)[..., None, None]
    right, down = seen.slopes[..., 0], seen.slopes[..., 1]
    mixed = right[..., :, None] * down[..., None, :]
    across = xx * right[..., :, None] * right[..., None, :] + yy * down[..., :, None] * down[..., None, :]
    across += xy * (mixed + mixed.swapaxes(-1, -2))
    along = seen.rays[..., :, None] * seen.rays[..., None, :]
    return z[..., None, None] ** 2 * across + deviations[..., None, None] ** 2 * along
