# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What goes wrong in a part of the node: the rest goes on, or the process ends and says why; and its state is told."""

from __future__ import annotations

import sys
from typing import Any

import scene
from conftest import Running
from faults import FAILING_PIPELINE

# the pipeline fails, and so do the diagnostics, but in the executor's thread: that would end the node by itself
FAILS_TO_TELL = f"""{FAILING_PIPELINE}
import threading
from sdtc_ros.node.health.diagnostics import Diagnostics
tell = Diagnostics.send
def failing_too(*given):
    if threading.current_thread().name != "sdtc-executor":
        raise RuntimeError("the diagnostics are on fire")
    tell(*given)
Diagnostics.send = failing_too
sys.exit(sdtc_ros.node.__main__.main())
"""
# the node, whose first engine fails as long as there is a file `fire`
BURNS = """
import sys
from pathlib import Path
import sdtc_ros.node.__main__
from sdtc_ros.engine.ort.host import OnnxEngine
estimate, engines = OnnxEngine.estimate, []
def burning(self, windows, moves=None):
    engines.append(self)
    if self is engines[0] and Path("fire").exists():
        raise RuntimeError("the engine is on fire\\nin many words")
    return estimate(self, windows, moves)
OnnxEngine.estimate = burning
sys.exit(sdtc_ros.node.__main__.main())
"""
LOADS_SLOWLY = """
import sys, time
import sdtc_ros.node.__main__, sdtc_ros.node.pose_node as pose_node
load = pose_node.load
pose_node.load = lambda values: (time.sleep(3), load(values))[1]
sys.exit(sdtc_ros.node.__main__.main())
"""
# says what is told of the node, whenever it is something else
TELLS_STATES = """
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
rclpy.init()
told = [""]
def hear(message):
    if message.status[0].message != told[-1]:
        told.append(message.status[0].message)
        print("told:", told[-1], flush=True)
node = rclpy.create_node("reader")
node.create_subscription(DiagnosticArray, "/diagnostics", hear, 10)
rclpy.spin(node)
"""


def start(ros: Any, models: list[str], *parameters: str, code: str = "") -> Running:
    how = ["-c", code] if code else ["-m", "sdtc_ros.node"]
    given = [word for parameter in (*models, *parameters) for word in ("-p", parameter)]
    return ros.start(sys.executable, *how, "--ros-args", *given)


def test_a_worker_that_fails_ends_the_node_even_if_that_cannot_be_told(ros, models, hand) -> None:
    node = start(ros, models, "lookahead:=0", code=FAILS_TO_TELL)
    hand.camera("/image")
    for number in range(12):
        hand.image("/image", number)
        hand.spin(0.3)
    assert node.process.wait(30) == 1
    assert "the engine is on fire" in node.log


def test_an_engine_that_fails_in_a_service_does_not_end_the_node(ros, models, hand) -> None:
    node = start(ros, models, "lookahead:=2", "max_gap:=60.0", code=BURNS)
    hand.camera("/image")
    hand.listen("/sdtc/poses")

    def send(numbers: range) -> None:
        for number in numbers:
            hand.image("/image", number)
            hand.heard("/sdtc/poses", count=number - 1, patience=5.0)

    send(range(4))
    (fire := ros.folder / "fire").touch()
    assert hand.trigger("/sdtc_pose/reset_tracks") == [
        False, "tracks and windows are unchanged: RuntimeError: the engine is on fire"
    ]  # fmt: skip
    assert hand.trigger("/sdtc_pose/reload") == [
        False, "the current model stays in use: RuntimeError: the engine is on fire"
    ]  # fmt: skip
    fire.unlink()
    send(range(4, 7))
    assert hand.trigger("/sdtc_pose/reset_tracks")[0]
    messages = hand.heard("/sdtc/poses", count=7)
    assert [scene.number_of(message["stamp"]) for message in messages] == list(range(7)), "what waited, waited on"
    assert len({tuple(message["ids"]) for message in messages}) == 1
    assert hand.transition("deactivate")
    fire.touch()
    assert hand.trigger("/sdtc_pose/reset_tracks")[0], "nothing waits"
    assert "Traceback" not in node.log
    node.interrupt()
    assert node.process.returncode == 0


def test_every_state_of_the_lifecycle_is_told(ros, models, hand) -> None:
    start(ros, models, "autostart:=false", code=LOADS_SLOWLY)
    reader = ros.start(sys.executable, "-c", TELLS_STATES)
    reader.wait_for("told: unconfigured")
    assert hand.transition("configure")
    reader.wait_for("told: inactive, on cpu")
    assert hand.transition("shutdown")
    reader.wait_for("told: finalized")
    told = [line.split(": ")[1].strip() for line in reader.lines if line.startswith("told: ")]
    assert told == ["unconfigured", "configuring", "inactive, on cpu", "finalized"]


def test_markers_that_cannot_be_had_do_not_end_the_node(ros, models, hand) -> None:
    node = start(ros, models, "lookahead:=0", "qos_overrides./camera_info.subscription.reliability:=sometimes")
    hand.camera("/image")
    hand.listen("/sdtc/poses")
    ros.start("ros2", "topic", "echo", "/sdtc/markers")
    node.wait_for("there are no markers: topic /camera_info cannot be created (are its qos_overrides valid?)")
    hand.spin(3.0)  # it is tried again every second
    for number in range(3):
        hand.image("/image", number)
        hand.heard("/sdtc/poses", count=number + 1, patience=5.0)
    assert hand.heard("/sdtc/poses", count=1), "the poses come all the same"
    assert "Traceback" not in node.log
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
