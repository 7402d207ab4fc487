# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Bad input on the command line: one sentence, the documented exit status, no traceback, nothing written is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.io.bag import BagReader, BagWriter, bag_message_types
from sdtc_ros.messages.poses import POSES_TOPIC, to_header
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def model(tmp_path) -> Path:
    return make_bundle(tmp_path / "model").folder


def picture(value: int) -> np.ndarray:
    return np.full((64, 80, 3), value, np.uint8)


def make_bag(path: Path) -> Path:
    with BagWriter(path) as bag:
        for number in range(12):
            bag.write_image("/camera", Frame(picture(10 * number), 10**9 + number * 40_000_000, "optical"))
    return path


Replay = Callable[..., tuple[int, str]]


def words_of(folder: Path, source: Path, *arguments: object) -> list[str]:
    return list(map(str, ["replay", source, "--out", folder / "out", "--threads", 1, *arguments]))


def sentence(errors: str) -> str:
    """The one line on stderr."""
    (line,) = errors.splitlines()
    assert line.startswith("sdtc_ros: error: ")
    return line


@pytest.fixture
def replay(tmp_path, capfd) -> Replay:
    """Exit status and the one sentence on stderr of a replay, what C libraries print included."""

    def run(source: Path, *arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        status = main(words_of(tmp_path, source, *arguments))
        return status, sentence(capfd.readouterr().err)

    return run


def answered(tmp_path: Path) -> int:
    """How many frames the bag holds poses of; the JSON must hold as many, and the report be there."""
    count = len(list(BagReader(tmp_path / "out" / "poses_bag").records(POSES_TOPIC)))
    data = json.loads(next((tmp_path / "out" / "posetrack").iterdir()).read_text())
    assert len(data["images"]) == count
    assert "</html>" in (tmp_path / "out" / "report.html").read_text()
    return count


def one_box(tmp_path: Path, box: list[float]) -> Path:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([{"frame": n, "bbox": [8, 6, 24, 40]} for n in range(12)] + [{"frame": 3, "bbox": box}]))
    return path


@pytest.mark.parametrize("name", ["notes.txt", "bag.mcap", "bag.db3", "video.mp4", "picture.jpg", "old.bag"])
def test_a_file_that_is_no_input(tmp_path, model, replay, name):
    (tmp_path / name).write_bytes(b"this is text, nothing else\n" * 40)
    status, said = replay(tmp_path / name, "--model", model)
    assert status == 3
    assert name in said
    assert not (tmp_path / "out").exists()


def test_a_bag_without_an_image_topic_lists_its_topics(tmp_path, model, replay):
    with BagWriter(tmp_path / "bag") as bag:
        bag.write_poses(FramePoses(Frame(picture(0), 1), []), POSETRACK)
    status, said = replay(tmp_path / "bag", "--model", model)
    assert status == 3
    assert f"has no image topic; its topics are: {POSES_TOPIC} (vision_msgs/msg/Detection2DArray, 1 messages)" in said


def test_a_truncated_bag_in_a_process_of_its_own(tmp_path, model):
    noise = np.random.default_rng(2).integers(
        0, 255, (60, 64, 80, 3), np.uint8
    )  # or compression leaves next to nothing
    bag = tmp_path / "bag"
    with BagWriter(bag) as writer:
        for number, image in enumerate(noise):
            writer.write_image("/camera", Frame(image, 10**9 + number * 40_000_000))
    file = bag / "bag.mcap"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    words = [sys.executable, "-m", "sdtc_ros", *words_of(tmp_path, bag, "--model", model)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60)
    said = sentence(done.stderr)
    assert done.returncode == 5
    count = answered(tmp_path)
    assert 25 <= count <= 30
    assert f"{count} frames were processed and written" in said
    assert "bag.mcap is cut short" in said


def test_an_unknown_encoding(tmp_path, model, replay):
    types, store = bag_message_types(), typestore().types
    with BagWriter(tmp_path / "bag") as bag:
        for number in range(3):
            image = store["sensor_msgs/msg/Image"](
                header=to_header(number + 1, "", types), height=2, width=2, encoding="32FC1", is_bigendian=0, step=8,
                data=np.zeros(16, np.uint8),
            )  # fmt: skip
            bag.write("/depth", "sensor_msgs/msg/Image", number + 1, image)
    status, said = replay(tmp_path / "bag", "--model", model)
    assert status == 3
    assert "image encoding '32FC1' holds plain numbers, as depth images do, and no colours" in said


def test_a_corrupt_frame_amid_good_ones(tmp_path, model, replay):
    types, store = bag_message_types(), typestore().types
    kind = "sensor_msgs/msg/CompressedImage"
    with BagWriter(tmp_path / "bag") as bag:
        for number in range(12):
            frame = Frame(picture(10 * number), 10**9 + number * 40_000_000, "optical")
            if number in (4, 7):
                whole = cv2.imencode(".jpg", frame.image)[1]
                data = whole[:60] if number == 4 else np.zeros(0, np.uint8)
                message = store[kind](header=to_header(frame.stamp, "", types), format="jpeg", data=data)
                bag.write("/camera", kind, frame.stamp, message)
            else:
                bag.write_image("/camera", frame, "jpeg")
    status, said = replay(tmp_path / "bag", "--model", model)
    assert status == 5
    assert answered(tmp_path) == 10
    assert "2 of 12 frames are damaged and were left out (numbers 4, 7)" in said


def test_a_video_of_no_frames(tmp_path, model, replay):
    path = tmp_path / "none.avi"
    cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (80, 64)).release()
    status, said = replay(path, "--model", model)
    assert status == 3
    assert "none.avi" in said


@pytest.mark.parametrize("box", [[900, 6, 24, 40], [10, 10, -5, 8], [10, 10, 0, 0]])
def test_boxes_outside_the_image(tmp_path, model, replay, box):
    status, said = replay(make_bag(tmp_path / "bag"), "--model", model, "--boxes", one_box(tmp_path, box))
    assert status == 5
    assert answered(tmp_path) == 12
    assert "1 person box was empty or outside the image and left out" in said


def test_a_boxes_file_that_is_none(tmp_path, model, replay):
    (tmp_path / "boxes.json").write_text("[1, 2")
    status, said = replay(make_bag(tmp_path / "bag"), "--model", model, "--boxes", tmp_path / "boxes.json")
    assert status == 3
    assert "boxes.json is not valid JSON" in said


def test_a_bundle_of_a_wrong_hash(tmp_path, model, replay):
    (model / "encoder.onnx").write_bytes((model / "encoder.onnx").read_bytes() + b"\0")
    status, said = replay(make_bag(tmp_path / "bag"), "--model", model)
    assert status == 4
    assert "encoder.onnx' does not match model.json" in said


def test_a_bundle_of_a_later_version(tmp_path, model, replay):
    manifest = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps(manifest | {"format": 99}))
    status, said = replay(make_bag(tmp_path / "bag"), "--model", model)
    assert status == 4
    assert "is of format 99, newer than" in said


def test_annotations_of_another_input(tmp_path, model, replay):
    truth = tmp_path / "truth.json"
    person = {"image_id": 1, "keypoints": [1] * 51, "bbox": [8, 6, 24, 40], "bbox_head": [1, 1, 9, 9], "track_id": 0}
    truth.write_text(json.dumps({"images": [{"id": 1, "file_name": "x/000900.jpg"}], "annotations": [person]}))
    status, said = replay(make_bag(tmp_path / "bag"), "--model", model, "--truth", truth)
    assert status == 5
    assert answered(tmp_path) == 12
    assert "none of the 1 annotated frames" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topic", "/nothing"], "has no image topic /nothing"),
        (["--lookahead", "9"], "lookahead must be between 0 and 2"),
        (["--detector", "yolo"], "detector 'yolo' is not 'person', 'truth', an .onnx file or a .json file of boxes"),
        (["--detector", "truth"], "give them with --truth"),
        (["--start", "-1"], "--start must be 0 or more"),
        (["--boxes", "b.json"], "detector 'b.json' is not 'person', 'truth', an .onnx file or a .json file of boxes"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path, model, replay, arguments, message):
    status, said = replay(make_bag(tmp_path / "bag"), "--model", model, *arguments)
    assert status == 2
    assert message in said
    assert not (tmp_path / "out").exists()
