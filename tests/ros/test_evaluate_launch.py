# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""evaluate.launch.py: a bag through the live node gives what a replay of it gives, frame for frame."""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from conftest import ROOT, Running

from sdtc_ros.commands.demo import write_demo_input
from sdtc_ros.demo.clip import demo_clip
from sdtc_ros.io.bag import BagReader
from sdtc_ros.io.sources import open_source
from sdtc_ros.messages.poses import POSES_TOPIC
from sdtc_ros.replay import ReplayOptions, replay
from sdtc_ros.replay.outputs import Wanted

LAUNCH = ROOT / "launch" / "evaluate.launch.py"
FRAMES = 12


@dataclass(frozen=True)
class Clip:
    """A synthetic clip as a bag, its truth, its people's boxes as a detector would tell them, and its replay."""

    bag: Path
    truth: Path
    boxes: Path
    offline: Path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    folder = tmp_path_factory.mktemp("clip")
    made = demo_clip(FRAMES)
    bag, truth = write_demo_input(folder / "input", made)
    annotations = json.loads(truth.read_text())
    names = {image["id"]: image["file_name"] for image in annotations["images"]}
    boxes = folder / "boxes.json"
    boxes.write_text(
        json.dumps([{"image_name": names[a["image_id"]], "bbox": a["bbox"]} for a in annotations["annotations"]])
    )
    options = ReplayOptions(bag, folder / "offline", truth=truth, detector=str(boxes), wanted=Wanted(video=False))
    assert replay(options, progress=False).accuracy is not None
    return Clip(bag, truth, boxes, folder / "offline")


def evaluate(ros, clip: Clip, *arguments: str) -> Running:
    launch = ros.start(
        "ros2", "launch", LAUNCH, f"input:={clip.bag}", f"truth:={clip.truth}", f"boxes:={clip.boxes}",
        f"out:={ros.folder / 'live'}", "threads:=1", *arguments,
    )  # fmt: skip
    launch.wait(180)
    return launch


def poses_of(folder: Path) -> list[tuple[int, bytes]]:
    return [(record.time, bytes(record.data)) for record in BagReader(folder / "poses_bag").records(POSES_TOPIC)]


WAYS = {
    "raw": [],
    "elsewhere": ["transport:=compressed", "use_sim_time:=true", "namespace:=front", "name:=eyes", "lookahead:=2",
                  "image:=/cameras/front/image_raw", "poses:=/people"],
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_live_and_offline_agree_frame_for_frame(ros, clip, way) -> None:
    launch = evaluate(ros, clip, *WAYS[way])
    live = ros.folder / "live"
    assert launch.process.returncode == 0, launch.log
    assert f"{FRAMES} frames sent = {FRAMES} answered + 0 dropped" in launch.log
    name = f"posetrack/{clip.truth.name}"
    assert (live / name).read_text() == (clip.offline / name).read_text()
    assert poses_of(live) == poses_of(clip.offline)
    assert len(poses_of(live)) == FRAMES
    offline = json.loads((clip.offline / "evaluation.json").read_text())
    assert json.loads((live / "evaluation.json").read_text()) == offline
    figures = json.loads((live / "live.json").read_text())
    assert figures["ap"] == offline["ap"]["total"] > 50
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]


def test_a_folder_of_images_too(ros, clip) -> None:
    """Their stamps are counted, and the first must not be taken for none."""
    images = ros.folder / "walk"
    images.mkdir()
    rows = json.loads(clip.boxes.read_text())
    names = sorted({row["image_name"] for row in rows})
    for number, (_, frame) in enumerate(open_source(clip.bag).frames):
        cv2.imwrite(str(images / f"{number:06d}.png"), frame.image)
    boxes = ros.folder / "boxes.json"
    boxes.write_text(
        json.dumps([row | {"image_name": f"walk/{names.index(row['image_name']):06d}.png"} for row in rows])
    )
    replay(
        ReplayOptions(images, ros.folder / "offline", detector=str(boxes), wanted=Wanted(video=False)), progress=False
    )
    launch = ros.start(
        "ros2", "launch", LAUNCH, f"input:={images}", f"boxes:={boxes}", f"out:={ros.folder / 'live'}", "threads:=1",
    )  # fmt: skip
    launch.wait(180)
    assert launch.process.returncode == 0, launch.log
    assert f"{FRAMES} frames sent = {FRAMES} answered + 0 dropped" in launch.log
    assert "the stamps went back" not in launch.log
    assert poses_of(ros.folder / "live") == poses_of(ros.folder / "offline")
    assert len(poses_of(ros.folder / "live")) == FRAMES


def test_in_real_time_the_sum_holds(ros, clip) -> None:
    launch = evaluate(ros, clip, "rate:=20", "max_gap:=0.5", "patience:=5")
    figures = json.loads((ros.folder / "live" / "live.json").read_text())
    assert launch.process.returncode == 0, launch.log
    assert figures["sent"] == FRAMES == figures["answered"] + figures["dropped"]
    assert len(figures["dropped_frames"]) == figures["dropped"] < FRAMES


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("input:=/nowhere", "/nowhere does not exist; expected a rosbag2, a video or a folder of images"),
        ("bundle:=/nowhere", "model bundle '/nowhere' is not a folder"),
        ("cameras:=[front, rear]", "evaluate.launch.py evaluates one camera: leave `cameras` out, in params_file too"),
        ("rate:=fast", "'rate' must be a number of 0 or more, not 'fast'"),
    ],
)
def test_it_ends_by_itself_with_the_reason(ros, clip, wrong, sentence) -> None:
    launch = evaluate(ros, clip, wrong)
    assert launch.process.returncode == 1
    assert sentence in launch.log
    assert "Traceback" not in launch.log


def test_ctrl_c_leaves_what_was_answered(ros, clip) -> None:
    launch = ros.start(
        "ros2", "launch", LAUNCH, f"input:={clip.bag}", f"boxes:={clip.boxes}", f"out:={ros.folder / 'live'}",
        "rate:=0.02", "max_wait:=0.5", "threads:=1",
    )  # fmt: skip
    launch.wait_for("evaluate: ")  # the progress, told every ten seconds: some frames were answered
    launch.interrupt(30.0)
    figures = json.loads((ros.folder / "live" / "live.json").read_text())
    assert 1 <= figures["answered"] <= figures["sent"] < FRAMES
    assert len(poses_of(ros.folder / "live")) == figures["answered"]


LISTENS = """
import json, sys, time
import rclpy
from rclpy.qos import qos_profile_sensor_data
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
rclpy.init()
node, stamps, clocks = rclpy.create_node("listener"), [], []
stamp = lambda time: time.sec * 1_000_000_000 + time.nanosec
node.create_subscription(Image, "/camera/image_raw", lambda m: stamps.append(stamp(m.header.stamp)), 10)
node.create_subscription(Clock, "/clock", lambda m: clocks.append(stamp(m.clock)), 10)
print("listening", flush=True)
deadline = time.monotonic() + 60
while len(stamps) < int(sys.argv[1]) and time.monotonic() < deadline:
    rclpy.spin_once(node, timeout_sec=0.1)
print(json.dumps([stamps, clocks]), flush=True)
"""


def test_play_images_plays_again_and_again_under_the_frames_own_stamps(ros, clip) -> None:
    listener = ros.start(sys.executable, "-c", LISTENS, str(2 * FRAMES))
    listener.wait_for("listening")
    player = ros.start(
        "python3", "-m", "sdtc_ros.tools.play_images", clip.bag, "--loop", "--clock", "--rate", "2", "--ros-args", "-r",
        "image:=/camera/image_raw",
    )  # fmt: skip
    listener.wait(90)
    os.killpg(player.process.pid, signal.SIGINT)
    assert player.wait(20) == 0
    heard, clocks = json.loads(listener.lines[-1])
    recorded = [stamp for stamp, _ in poses_of(clip.offline)]
    places = [recorded.index(stamp) for stamp in heard]
    following = [(place + 1) % FRAMES for place in places[:-1]]
    assert places[1:] == following
    assert set(clocks) == set(recorded)
    assert "frames were published" in player.log
