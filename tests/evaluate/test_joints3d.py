# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
import numpy as np
import pytest

from sdtc_ros.evaluate.joints3d import Joints3D, evaluate_3d, table

BOX = np.float32([[0, 0, 10, 20]])


def truth(joints, visible=None):
    return Joints3D(BOX, np.float32([joints]), None if visible is None else np.array([visible]))


def test_errors_by_visibility_and_distance_by_hand():
    real = truth([[0, 0, 1], [0, 0, 3], [0, 0, 3]], [True, True, False])
    predicted = Joints3D(BOX, np.float32([[[0.03, 0, 1], [0, 0, 3.2], [np.nan] * 3]]))
    figures = evaluate_3d([(real, predicted)])
    assert figures["all"].count == 3
    assert figures["all"].mpjpe == pytest.approx((0.03 + 0.2) / 2, abs=1e-6)
    assert figures["all"].given == pytest.approx(200 / 3)
    assert figures["all"].pck == pytest.approx(100 / 3)
    assert figures["visible 0-2 m"].mpjpe == pytest.approx(0.03, abs=1e-6)
    assert figures["visible 2-4 m"].pck == 0
    assert figures["occluded"].given == 0
    assert figures["occluded"].to_json()["mpjpe"] is None
    assert "occluded" in table(figures)


def test_a_person_not_found_is_missed_and_one_too_many_costs_nothing():
    real = truth([[0, 0, 1], [0, 0, 2]])
    elsewhere = Joints3D(np.float32([[100, 0, 10, 20]]), np.float32([[[0, 0, 1], [0, 0, 2]]]))
    assert evaluate_3d([(real, elsewhere)])["all"].pck == 0
    both = Joints3D(np.vstack([elsewhere.boxes, BOX]), np.concatenate([elsewhere.joints + 1, elsewhere.joints]))
    assert evaluate_3d([(real, both)])["all"].pck == 100


def test_covariance_is_judged_by_the_share_within_one_sigma():
    rng, count = np.random.default_rng(0), 4000
    real = truth(np.tile([0.0, 0, 3], (count, 1)))
    sigma = np.array([0.01, 0.02, 0.05])
    predicted = Joints3D(
        BOX, (real.joints + rng.normal(size=(1, count, 3)) * sigma).astype(np.float32),
        covariances=np.tile(np.diag(sigma**2), (1, count, 1, 1)).astype(np.float32),
    )  # fmt: skip
    figures = evaluate_3d([(real, predicted)])["all"]
    assert figures.within_sigma == pytest.approx(19.9, abs=2)
    assert figures.along_sigma == pytest.approx(68.3, abs=2)


def test_nothing_to_compare_gives_no_figures():
    nobody = Joints3D(np.zeros((0, 4), np.float32), np.zeros((0, 2, 3), np.float32))
    assert evaluate_3d([]) == {}
    assert evaluate_3d([(nobody, nobody)]) == {}
