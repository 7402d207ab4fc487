# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""docs/messages.md under a real ROS 2: its subscriber in Python runs, the one in C++ compiles, its commands answer."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import code_of

PAGE = "messages.md"
# a publisher of one person, until it is ended
PUBLISHES = """
import time
import numpy as np, rclpy
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection2DArray
from sdtc_ros.messages.poses import PoseArrays, message_from_poses
from sdtc_ros.skeleton import POSETRACK
keypoints = np.tile(np.array([12.25, 34.5, 0.75], np.float32), (1, 15, 1))
poses = PoseArrays(5_000_000_000, "cam", POSETRACK.joints, np.array([7]), np.ones((1, 4), np.float32),
                   np.array([0.5], np.float32), keypoints, np.ones((1, 15, 3), np.float32))
rclpy.init()
node = rclpy.create_node("poser")
publisher = node.create_publisher(Detection2DArray, "/sdtc/poses", QoSProfile(depth=10))
message = message_from_poses(poses)
assert type(message) is Detection2DArray
while rclpy.ok():
    publisher.publish(message)
    time.sleep(0.1)
"""
# as much of rclcpp as the page's subscriber touches; for machines that have the messages' headers only
RCLCPP = """
#pragma once
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#define RCLCPP_INFO(logger, ...) ((void)(logger), (void)snprintf(nullptr, 0, __VA_ARGS__))
namespace rclcpp {
struct Logger {};
template<class M> struct Subscription { using SharedPtr = std::shared_ptr<Subscription>; };
struct Node {
  explicit Node(const std::string &) {}
  Logger get_logger() const { return {}; }
  template<class M> std::shared_ptr<Subscription<M>> create_subscription(
    const std::string &, int, std::function<void(typename M::ConstSharedPtr)>) { return nullptr; }
};
inline void init(int, char **) {}
inline void spin(std::shared_ptr<Node>) {}
inline void shutdown() {}
}
"""


def test_the_python_subscriber_hears_poses(ros) -> None:
    ros.start(sys.executable, "-c", PUBLISHES)
    subscriber = ros.start(sys.executable, "-c", code_of(PAGE, "python", "create_subscription"))
    subscriber.wait_for("person 7: left wrist at 12, 34 (5000000000 ns)")


def test_the_commands_answer(ros) -> None:
    ros.start(sys.executable, "-c", PUBLISHES)
    commands = code_of(PAGE, "bash", "ros2 topic echo").splitlines()
    hertz = ros.start("bash", "-c", commands[0])
    header = ros.run("bash", "-c", commands[1])
    assert "frame_id: cam" in header.stdout, header.stdout
    named = ros.run("bash", "-c", commands[2])
    lines = [line.strip() for line in named.stdout.splitlines()]
    assert lines[lines.index("class_id: left_wrist") + 1] == "score: 0.75"
    hertz.wait_for("average rate")


def test_the_cpp_subscriber_compiles(ros, tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++")
    prefixes = [Path(prefix) for prefix in ros.env["AMENT_PREFIX_PATH"].split(":")]
    includes = [folder for prefix in prefixes for folder in sorted((prefix / "include").glob("*"))]
    includes = [folder for folder in includes if (folder / folder.name).is_dir()]  # not those with headers of C
    if compiler is None or not any(folder.name == "vision_msgs" for folder in includes):
        pytest.skip("there is no C++ compiler, or vision_msgs has no headers here")
    if not any(folder.name == "rclcpp" for folder in includes):
        (tmp_path / "rclcpp").mkdir()
        (tmp_path / "rclcpp" / "rclcpp.hpp").write_text(RCLCPP)
        includes.append(tmp_path)
    (tmp_path / "wrists.cpp").write_text(code_of(PAGE, "cpp", "rclcpp"))
    done = subprocess.run(
        [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(tmp_path / "wrists.cpp")]
        + [f"-isystem{folder}" for folder in includes],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[:4000]
