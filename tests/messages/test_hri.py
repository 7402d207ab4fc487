# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ROS4HRI without ROS: the 18 points, ids that are unique, and publishers that come and go with the bodies."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sdtc_ros.errors import UsageError
from sdtc_ros.messages.hri import JOINTS, LINGER, TRACKED, Bodies, cropped, region, skeleton2d
from sdtc_ros.skeleton import COCO, HIEVE, POSETRACK, Skeleton
from sdtc_ros.types import Frame, FramePoses, Pose

SIZE = (200, 100)


def person(track: int, skeleton: Skeleton = POSETRACK) -> Pose:
    count = len(skeleton)
    points = np.column_stack([np.arange(count) * 10 + 9.5, np.arange(count) * 5 + 4.5, 0.9 - 0.01 * np.arange(count)])
    box = np.array([20, 10, 50, 80], np.float32)
    return Pose(track, box, 0.8, points.astype(np.float32), np.ones((count, 3), np.float32), 0.7)


@pytest.mark.parametrize("skeleton", [POSETRACK, HIEVE, COCO], ids=lambda s: s.name)
def test_every_joint_goes_to_its_place_of_openpose(skeleton: Skeleton) -> None:
    pose = person(1, skeleton)
    points = skeleton2d(pose, skeleton, SIZE)
    assert points.shape == (18, 3)
    for place, joint in enumerate(JOINTS):
        if joint in skeleton.joints:
            x, y, score = pose.keypoints[skeleton.index(joint)]
            np.testing.assert_allclose(points[place], [(x + 0.5) / 200, (y + 0.5) / 100, score], rtol=1e-5)
        elif joint != "neck":
            assert points[place].tolist() == [0, 0, 0]
    left, right = (pose.keypoints[skeleton.index(f"{side}_shoulder")] for side in ("left", "right"))
    expected = [((left[0] + right[0]) / 2 + 0.5) / 200, ((left[1] + right[1]) / 2 + 0.5) / 100, min(left[2], right[2])]
    np.testing.assert_allclose(points[1], expected, rtol=1e-5)


def test_coordinates_stay_within_the_image() -> None:
    pose = person(1)
    pose.keypoints[0] = -40, 50, 0.9  # nose
    pose.keypoints[13] = 100, 5000, 1.5  # left ankle
    pose.keypoints[14] = np.nan, 3, 0.5  # right ankle
    points = skeleton2d(pose, POSETRACK, SIZE)
    assert ((points >= 0) & (points <= 1)).all()
    np.testing.assert_allclose(points[0], [0, 0.505, 0])
    assert (points[13, 1], points[13, 2], points[10, 2]) == (1, 0, 0)


def test_regions_and_pictures_are_cut_at_the_border() -> None:
    assert region(np.array([20, 10, 50, 80], np.float32), SIZE) == pytest.approx((0.1, 0.1, 0.35, 0.9))
    over = np.array([-20, 50, 60, 80], np.float32)
    assert region(over, SIZE) == pytest.approx((0, 0.5, 0.2, 1))
    frame = Frame(np.arange(100 * 200 * 3, dtype=np.uint32).astype(np.uint8).reshape(100, 200, 3), 0)
    np.testing.assert_array_equal(cropped(frame, over), frame.image[50:100, 0:40])
    assert cropped(frame, np.array([300, 0, 10, 10], np.float32)) is None


class Net:
    """Records what is published; only the topics in `heard` have a subscriber."""

    def __init__(self) -> None:
        self.now, self.live, self.sent = 10.0, [], []
        self.heard: set[str] = set()
        self.bodies = Bodies(
            self.make, lambda publisher: self.live.remove(publisher.topic), self.look, lambda: self.now
        )

    def look(self, name: str) -> Any:
        return lambda **values: SimpleNamespace(type=name, **values)

    def make(self, kind: Any, topic: str) -> Any:
        assert topic not in self.live
        self.live.append(topic)
        return SimpleNamespace(
            topic=topic, publish=lambda message: self.sent.append((topic, message)),
            get_subscription_count=lambda: int(topic.rpartition("/")[2] in self.heard),
        )  # fmt: skip

    def show(self, camera: str, *tracks: int) -> list[str]:
        """One frame with these people; returns the ids that were listed."""
        self.sent.clear()
        frame = Frame(np.zeros((100, 200, 3), np.uint8), 0)
        self.bodies.publish(camera, FramePoses(frame, [person(track) for track in tracks]), POSETRACK, "header")
        listed = [message for topic, message in self.sent if topic == TRACKED]
        assert [message.header for message in listed] == ["header"]
        return listed[0].ids


def test_publishers_come_and_go_with_the_bodies() -> None:
    net = Net()
    assert net.show("", 1) == net.show("", 1)
    (first,) = net.show("", 1)
    assert first.endswith("1")
    assert first[:-1].isalpha()
    assert sorted(net.live[1:]) == [f"/humans/bodies/{first}/{what}" for what in ("cropped", "roi", "skeleton2d")]
    both = net.show("", 1, 2)
    assert both[0] == first
    assert len(net.live) == 7
    for _ in range(5):
        net.now += 0.1
        assert net.show("", 2) == both  # missed for a moment only: LINGER
    net.now += 0.1
    assert net.show("", 2) == both[1:]
    assert len(net.live) == 4
    net.bodies.close()
    assert net.live == []


def test_all_cameras_bodies_are_in_one_list_under_different_ids() -> None:
    net = Net()
    net.show("front", 1)
    listed = net.show("rear", 1)
    assert len(set(listed)) == 2
    assert len(net.live) == 7
    topics = [topic for topic, _ in net.sent]
    assert sum(listed[0] in topic for topic in topics) == 0  # nothing new about the other camera's


def test_the_list_comes_before_what_it_announces_and_pictures_only_if_somebody_looks() -> None:
    net = Net()
    net.show("", 4)
    assert [topic.rpartition("/")[2] for topic, _ in net.sent] == ["tracked", "roi", "skeleton2d"]
    roi, skeleton = net.sent[1][1], net.sent[2][1]
    assert (roi.header, roi.xmin, roi.ymax, roi.c) == ("header", pytest.approx(0.1), pytest.approx(0.9), 0.8)
    assert len(skeleton.skeleton) == 18
    net.heard = {"cropped"}
    net.show("", 4)
    assert [topic.rpartition("/")[2] for topic, _ in net.sent] == ["tracked", "roi", "skeleton2d", "cropped"]
    picture = net.sent[3][1]
    assert (picture.width, picture.height, picture.encoding) == (50, 80, "bgr8")


@pytest.mark.parametrize(("interval", "listed"), [(1 / 30, 0.5), (0.4, 1.2), (1.0, 3.0), (4.0, 5.0)])
def test_bodies_stay_for_as_long_as_three_results_take(interval: float, listed: float) -> None:
    """However slow the results are: between two of them nobody vanishes."""
    net = Net()
    (body,) = net.show("", 1)
    for _ in range(4):
        net.sent.clear()
        for _ in range(int(interval)):  # every second, and nobody leaves
            net.now += 1.0
            net.bodies.expire("later")
        assert net.sent == []
        net.now += interval - int(interval)
        assert net.show("", 1) == [body]
    net.sent.clear()
    net.now += listed - 0.01
    net.bodies.expire("later")
    assert net.sent == []
    net.now += 0.02
    net.bodies.expire("later")
    assert net.sent[0][1].ids == []


def test_bodies_of_a_silent_camera_leave_the_list() -> None:
    net = Net()
    for _ in range(3):
        net.now += 0.1
        net.show("", 1)
    net.sent.clear()
    net.bodies.expire("later")
    assert net.sent == []
    net.now += LINGER + 0.1
    net.bodies.expire("later")
    ((topic, message),) = net.sent
    assert (topic, message.ids, message.header, len(net.live)) == (TRACKED, [], "later", 1)


def test_without_hri_msgs_a_sentence_says_what_to_do() -> None:
    def lookup(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named '{name.split('/')[0]}'")

    with pytest.raises(UsageError) as refusal:
        Bodies(lambda kind, topic: None, lambda publisher: None, lookup)
    assert str(refusal.value) == (
        "parameter 'hri' needs the ROS package hri_msgs, which cannot be used here (No module named 'hri_msgs'): "
        "install it (ros-$ROS_DISTRO-hri-msgs) and source its setup.bash, or set hri to false"
    )
