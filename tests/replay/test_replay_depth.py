# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Joints in metres from a bag with depth: JSON and bag say the same, and evaluation in space reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.ground_truth.posetrack_write import write_sequence
from sdtc_ros.io.bag import BagReader, BagWriter
from sdtc_ros.messages.foxglove import ANNOTATIONS_TOPIC
from sdtc_ros.messages.poses3d import POSES_3D_TOPIC, POSES_3D_TYPE, poses_3d_from_message
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.types import Frame

pytestmark = pytest.mark.slow

STAMPS = [1_000_000_000 + 40_000_000 * number for number in range(6)]
DEPTH, INFO = "/camera/depth/image_raw", "/camera/depth/camera_info"
SIZE = 80, 64  # width, height


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "fake").folder


@pytest.fixture
def boxes(tmp_path) -> Path:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([{"frame": n, "bbox": [8, 6, 40, 50], "track_id": 5} for n in range(len(STAMPS))]))
    return path


def header(stamp, frame_id="camera_optical"):
    types = typestore().types
    time = types["builtin_interfaces/msg/Time"](sec=stamp // 1_000_000_000, nanosec=stamp % 1_000_000_000)
    return types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def depth_message(stamp, depth, encoding="16UC1", frame_id="camera_optical"):
    kind = np.uint16 if encoding == "16UC1" else np.float32
    height, width = depth.shape
    return typestore().types["sensor_msgs/msg/Image"](
        header=header(stamp, frame_id), height=height, width=width, encoding=encoding, is_bigendian=0,
        step=width * np.dtype(kind).itemsize, data=np.ascontiguousarray(depth.astype(kind)).view(np.uint8).reshape(-1),
    )  # fmt: skip


def info_message(size=SIZE, focal=70.0):
    types = typestore().types
    region = types["sensor_msgs/msg/RegionOfInterest"](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False)
    k = np.array([focal, 0, size[0] / 2, 0, focal, size[1] / 2, 0, 0, 1])
    p = np.insert(k.reshape(3, 3), 3, 0, axis=1).reshape(-1)
    return types["sensor_msgs/msg/CameraInfo"](
        header=header(0), height=size[1], width=size[0], distortion_model="plumb_bob", d=np.zeros(5), k=k,
        r=np.eye(3).reshape(-1), p=p, binning_x=0, binning_y=0, roi=region,
    )  # fmt: skip


def make_bag(path: Path, depths=None, info=True, shift=0, frame_id="camera_optical", colour=None) -> Path:
    """Grey frames, a wall at 2 metres before them, and camera_info."""
    wall = np.full((SIZE[1], SIZE[0]), 2000)
    depths = [wall] * len(STAMPS) if depths is None else depths
    with BagWriter(path) as bag:
        if info:
            bag.write(INFO, "sensor_msgs/msg/CameraInfo", STAMPS[0], info_message())
        if colour:
            bag.write("/camera/camera_info", "sensor_msgs/msg/CameraInfo", STAMPS[0], info_message(focal=colour))
        for number, stamp in enumerate(STAMPS):
            image = np.full((SIZE[1], SIZE[0], 3), 14 + number, np.uint8)  # where the fake network sees joints
            bag.write_image("/camera/image", Frame(image, stamp, "camera_optical"), "bgr8")
            if depths[number] is not None:
                message = depth_message(stamp + shift, depths[number], frame_id=frame_id)
                bag.write(DEPTH, "sensor_msgs/msg/Image", stamp, message)
    return path


def replay(bag: Path, out: Path, model: Path, boxes: Path, *arguments: str) -> int:
    return main([
        "replay", str(bag), "--out", str(out), "--model", str(model), "--boxes", str(boxes), "--threads", "1",
        "--no-video", "--topic", "/camera/image", *arguments,
    ])  # fmt: skip


def spaces(out: Path):
    records = BagReader(out / "poses_bag").records(POSES_3D_TOPIC)
    return [poses_3d_from_message(typestore().deserialize_cdr(record.data, POSES_3D_TYPE)) for record in records]


def test_bag_and_json_say_the_same(tmp_path, model, boxes, capsys):
    out = tmp_path / "out"
    assert replay(make_bag(tmp_path / "tour"), out, model, boxes, "--depth") == 0, capsys.readouterr().err
    messages = spaces(out)
    assert [message.stamp for message in messages] == STAMPS
    assert messages[0].frame_id == "camera_optical"
    sequence = read_sequence(out / "posetrack" / "tour.json")
    people = [frame.people[0] for frame in sequence.frames]
    for message, person in zip(messages, people, strict=True):
        np.testing.assert_allclose(message.positions[0], person.joints_3d, atol=1e-6)
        np.testing.assert_allclose(message.covariances[0], person.covariances_3d, atol=2e-6)
    known = np.isfinite(messages[0].positions[0, :, 2])
    assert known.any()
    assert (messages[0].positions[0, known, 2] > 2).all()  # under the skin of a wall at 2 metres
    assert (messages[0].positions[0, known, 2] < 2.2).all()


def test_evaluation_in_space_reads_what_replay_wrote(tmp_path, model, boxes, capsys):
    out = tmp_path / "out"
    replay(make_bag(tmp_path / "tour"), out, model, boxes, "--depth")
    truth = read_sequence(out / "posetrack" / "tour.json")
    for frame in truth.frames:
        frame.people[0].joints_3d += [0.03, 0, 0]
    write_sequence(truth, tmp_path / "truth" / "tour.json")
    folders = ["--truth", str(tmp_path / "truth"), "--predictions", str(out / "posetrack")]
    capsys.readouterr()
    assert main(["evaluate", *folders, "--protocol", "3d", "--json", str(tmp_path / "3d.json")]) == 0
    assert "30.0" in capsys.readouterr().out
    figures = json.loads((tmp_path / "3d.json").read_text())["joints"]["all"]
    assert figures["mpjpe"] == pytest.approx(0.03, abs=1e-5)
    plain = tmp_path / "plain" / "tour.json"
    for frame in truth.frames:
        frame.people[0].joints_3d = None
    write_sequence(truth, plain)
    assert main(["evaluate", "--truth", str(plain.parent), *folders[2:], "--protocol", "3d"]) == 3
    assert "joints_3d" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"shift": 1_000_000_000}, "6 frames have no depth image"),
        ({"depths": [np.full((32, 40), 2000)] * 6}, "40 x 32 but the colour image 80 x 64"),
        ({"depths": [np.zeros((64, 80))] * 6}, "6 depth images show nothing"),
        ({"colour": 90.0}, "not registered (aligned) to the image, by camera_info: its focal length is 70 pixels"),
        ({"frame_id": "depth_optical"}, "6 depth images are of the frame 'depth_optical', not of the image's"),
    ],
)
def test_depth_that_does_not_fit_leaves_the_poses_and_is_said(tmp_path, model, boxes, capsys, change, words):
    out = tmp_path / "out"
    assert replay(make_bag(tmp_path / "tour", **change), out, model, boxes, "--depth") == 5
    assert words in capsys.readouterr().err
    assert len(read_sequence(out / "posetrack" / "tour.json").frames) == len(STAMPS)


def test_a_missing_depth_image_costs_its_frame_alone(tmp_path, model, boxes, capsys):
    wall = np.full((SIZE[1], SIZE[0]), 2000)
    bag = make_bag(tmp_path / "tour", depths=[wall, wall, None, wall, wall, wall])
    assert replay(bag, tmp_path / "out", model, boxes, "--depth") == 5
    assert "1 frames have no depth image" in capsys.readouterr().err
    assert len(spaces(tmp_path / "out")) == len(STAMPS)


@pytest.mark.parametrize(
    ("info", "arguments", "words"),
    [
        (False, ["--depth"], "0 camera_info topics"),
        (True, ["--depth", "/nothing"], "no image topic /nothing"),
        (True, ["--depth", "--camera-info", "/nothing"], "no camera_info /nothing"),
    ],
)
def test_topics_that_are_not_there_are_said_before_anything_is_written(
    tmp_path, model, boxes, capsys, info, arguments, words
):
    out = tmp_path / "out"
    assert replay(make_bag(tmp_path / "tour", info=info), out, model, boxes, *arguments) == 2
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_every_bag_of_poses_has_annotations_for_foxglove(tmp_path, model, boxes):
    out = tmp_path / "out"
    assert replay(make_bag(tmp_path / "tour"), out, model, boxes) == 0
    topics = {topic.name: topic for topic in BagReader(out / "poses_bag").topics}
    assert topics[ANNOTATIONS_TOPIC].count == len(STAMPS)
    assert POSES_3D_TOPIC not in topics
    assert (out / "poses_bag").is_dir()
