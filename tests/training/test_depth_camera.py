# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import numpy as np
import pytest

from training.synthetic.depth_camera import DepthCamera, measured

PLAIN = DepthCamera(noise=0, edge=0, steps=0)


def flat(distance: float) -> np.ndarray:
    return np.full((60, 80), distance, np.float32)


def seen(depth, camera, focal=500.0):
    return measured(depth, camera, focal, np.random.default_rng(0))


def test_nothing_wrong_is_the_exact_depth_and_unknown_stays_unknown():
    depth = flat(2)
    depth[:10] = 0
    np.testing.assert_array_equal(seen(depth, PLAIN), depth)
    assert (seen(depth, DepthCamera())[:10] == 0).all()


@pytest.mark.parametrize("distance", [1.0, 4.0])
def test_noise_grows_with_the_distance_squared(distance):
    noisy = seen(flat(distance), DepthCamera(noise=0.003, edge=0, steps=0))
    assert noisy.std() == pytest.approx(0.003 * distance**2, rel=0.05)
    assert noisy.mean() == pytest.approx(distance, abs=0.01)


def test_steps_are_of_disparity():
    ramp = np.linspace(3.9, 4.1, 80, dtype=np.float32)[None].repeat(60, axis=0)
    values = np.unique(seen(ramp, DepthCamera(noise=0, edge=0, steps=1000)))
    assert np.diff(values).max() == pytest.approx(4**2 / 1000, rel=0.1)


def test_edges_have_holes_and_surfaces_do_not():
    depth = flat(3)
    depth[:, 40:] = 1.5
    holes = seen(depth, DepthCamera(noise=0, steps=0, edge=0.1, hole=2)) == 0
    assert holes[:, 38:43].all()
    assert not holes[:, :35].any()
    assert not holes[:, 46:].any()


def test_a_wrong_registration_moves_near_things_farther():
    depth = flat(3)
    depth[:, 40:] = 1.5
    moved = seen(depth, DepthCamera(noise=0, edge=0, steps=0, shift=0.03))  # 10 pixels at 1.5 m, 5 at 3 m
    assert moved[30, 34] == pytest.approx(3)
    assert moved[30, 36] == pytest.approx(1.5)
