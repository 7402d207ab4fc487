# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The life of the node: every transition by its service, in every order that a manager may ask for; ends in time."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import scene
from conftest import Running
from fake_bundle import make_bundle
from onnx import helper, numpy_helper

from sdtc_ros.models.bundle import write_manifest

IMAGE, POSES = "/image", "/sdtc/poses"
# the node, saying so when an engine is freed
TELLS_ENDS = """
import sys, weakref
import sdtc_ros.node.__main__
from sdtc_ros.engine.ort.host import OnnxEngine
begin = OnnxEngine.__init__
def told(self, *args, **kwargs):
    begin(self, *args, **kwargs)
    weakref.finalize(self, print, "an engine is gone", flush=True)
OnnxEngine.__init__ = told
sys.exit(sdtc_ros.node.__main__.main())
"""
# the node, with an engine that takes a long time
LOADS_LONG = """
import sys, time
import sdtc_ros.node.__main__
from sdtc_ros.engine.ort.host import OnnxEngine
begin = OnnxEngine.__init__
def slow(self, *args, **kwargs):
    print("loading now", flush=True)
    time.sleep(60)
OnnxEngine.__init__ = slow
sys.exit(sdtc_ros.node.__main__.main())
"""
# the node, with a detector that takes a long time
WORKS_LONG = """
import sys, time
import sdtc_ros.node.__main__
from sdtc_ros.detection.onnx import OnnxDetector
def slow(self, image):
    print("working now", flush=True)
    time.sleep(60)
OnnxDetector.__call__ = slow
sys.exit(sdtc_ros.node.__main__.main())
"""


def start(ros: Any, models: list[str], *parameters: str, code: str = "") -> Running:
    how = ["-c", code] if code else ["-m", "sdtc_ros.node"]
    given = [word for parameter in (*models, *parameters) for word in ("-p", parameter)]
    return ros.start(sys.executable, *how, "--ros-args", *given)


def feed(hand: Any, first: int, count: int = 5) -> list[int]:
    """Publish images first ... and return the numbers of those answered so far, the last `count` - 2 awaited."""
    before = len(hand.heard(POSES, patience=0.0))
    for number in range(first, first + count):
        hand.image(IMAGE, number)
        hand.heard(POSES, count=before + number - first - 1, patience=5.0)
    return [scene.number_of(one["stamp"]) for one in hand.heard(POSES, count=before + count - 2)]


def test_every_transition_by_its_service(ros, models, hand) -> None:
    node = start(ros, models, "autostart:=false", "max_gap:=60.0", code=TELLS_ENDS)
    hand.camera(IMAGE, wait=False)
    assert hand.state() == "unconfigured"
    assert "waiting for images" not in node.log
    assert hand.transition("configure")
    assert hand.state() == "inactive"
    hand.listen(POSES)
    assert hand.subscribers(IMAGE, 0) == 0, "an inactive node hears nothing"
    assert hand.transition("activate")
    hand.camera(IMAGE)
    assert hand.state() == "active"
    assert len(feed(hand, 0)) >= 3
    assert not hand.transition("configure"), "it is active"

    assert hand.transition("deactivate")
    assert hand.state() == "inactive"
    assert hand.subscribers(IMAGE, 0) == 0
    assert "5 frames received = " in node.log
    answered = len(hand.heard(POSES, patience=0.5))
    assert hand.transition("activate")
    assert hand.subscribers(IMAGE, 1) == 1
    hand.spin(0.5)
    numbers = feed(hand, 10)
    assert min(numbers[answered:]) >= 10, "what waited before is not answered after"
    assert len(numbers) > answered

    assert hand.transition("deactivate")
    assert "an engine is gone" not in node.log
    assert hand.transition("cleanup")
    node.wait_for("an engine is gone", 10.0)
    assert hand.state() == "unconfigured"
    assert hand.set("lookahead", 0) == [True, ""], "it may be set again before the next configure"
    assert hand.transition("configure")
    assert hand.transition("activate")
    assert hand.subscribers(IMAGE, 1) == 1
    hand.spin(0.5)
    hand.image(IMAGE, 30)
    assert scene.number_of(hand.heard(POSES, count=len(numbers) + 1)[-1]["stamp"]) == 30
    assert hand.transition("shutdown")
    assert hand.state() == "finalized"
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
    assert "Traceback" not in node.log


def make_heavy_bundle(folder: Path, megabytes: int) -> Path:
    """The arithmetic bundle with a weight of that size in it, which changes nothing."""
    bundle = make_bundle(folder, scene.DELTA, scene.CROP)
    model = onnx.load(bundle.encoder)
    weight = np.zeros(megabytes << 18, np.float32)
    model.graph.initializer.extend([
        numpy_helper.from_array(weight, "heavy"), numpy_helper.from_array(np.array(0, np.int64), "nought"),
    ])  # fmt: skip
    tokens = model.graph.node[-1]
    tokens.output[0] = "light"
    model.graph.node.extend([  # which element it is, only the crops tell, so it cannot be folded away
        helper.make_node("ReduceMin", ["light"], ["least"], keepdims=0),
        helper.make_node("Cast", ["least"], ["whole"], to=onnx.TensorProto.INT64),
        helper.make_node("Mul", ["whole", "nought"], ["index"]),
        helper.make_node("Gather", ["heavy", "index"], ["nothing"]),
        helper.make_node("Add", ["light", "nothing"], ["tokens"]),
    ])  # fmt: skip
    onnx.save(model, str(bundle.encoder))
    return write_manifest(
        folder, name="heavy", skeleton="posetrack", input_size=scene.CROP, delta=scene.DELTA, tokens=bundle.tokens,
        mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0),
    ).folder  # fmt: skip


def resident(running: Running) -> float:
    """Megabytes of memory that the process has."""
    pages = Path(f"/proc/{running.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGESIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="no /proc tells a process's memory")
def test_cleanup_gives_the_models_memory_back(ros, models, hand, tmp_path) -> None:
    heavy = make_heavy_bundle(tmp_path / "heavy", 100)
    node = start(ros, models[1:], f"bundle:={heavy}", "autostart:=false")
    assert hand.transition("configure") and hand.transition("activate")
    configured = resident(node)
    assert hand.transition("deactivate") and hand.transition("cleanup")
    deadline = time.monotonic() + 20
    while resident(node) > configured - 80 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert resident(node) < configured - 80


def test_a_refused_configure_can_be_mended(ros, models, hand) -> None:
    node = start(ros, models[1:], "bundle:=/nowhere", "autostart:=false")
    assert not hand.transition("configure")
    assert "model bundle '/nowhere' is not a folder" in node.log
    assert hand.state() == "unconfigured"
    assert hand.set("bundle", models[0].split(":=")[1])[0]
    assert hand.transition("configure")
    assert hand.transition("activate")
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0, "an error that was mended is not the node's end"


def test_a_topic_that_cannot_be_made_is_told_and_mended(ros, models, hand) -> None:
    node = start(ros, models, "autostart:=false", "qos_overrides./image.subscription.reliability:=sometimes")
    assert hand.transition("configure")
    assert not hand.transition("activate")
    node.wait_for("topic /image cannot be created (are its qos_overrides valid?)")
    assert hand.state() == "inactive"
    assert "Traceback" not in node.log
    assert node.interrupt() < 2.0


@pytest.mark.parametrize("transitions", [(), ("configure",), ("configure", "activate", "deactivate", "cleanup")])
def test_ctrl_c_in_states_that_do_not_work(ros, models, hand, transitions) -> None:
    node = start(ros, models, "autostart:=false")
    assert all(hand.transition(label) for label in transitions)
    assert hand.state() == ("inactive" if transitions == ("configure",) else "unconfigured")
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
    assert "Traceback" not in node.log


@pytest.mark.parametrize(("code", "sign"), [(LOADS_LONG, "loading now"), (WORKS_LONG, "working now")])
def test_ctrl_c_does_not_wait_for_an_engine_that_loads_nor_for_a_frame(ros, models, hand, code, sign) -> None:
    node = start(ros, models, code=code)
    if code is WORKS_LONG:
        hand.camera(IMAGE)
        hand.image(IMAGE, 0)
    node.wait_for(sign)
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
    assert "Traceback" not in node.log


def test_ctrl_c_under_load(ros, models, hand) -> None:
    node = start(ros, models, "cameras:=[front, rear]")
    cameras = ["/front/image", "/rear/image"]
    for topic in cameras:
        hand.camera(topic)
    hand.listen("/rear/sdtc/poses")
    hand.stream(cameras, 60.0, [320, 240])
    assert len(hand.heard("/rear/sdtc/poses", count=20)) >= 20
    assert node.interrupt() < 2.0
    assert node.process.returncode == 0
    assert "Traceback" not in node.log
    for camera in ("front", "rear"):
        assert f"{camera}: stopped: " in node.log


def test_autostart_is_a_launch_argument(ros, models, hand) -> None:
    node = ros.launch(*models, "autostart:=false")
    assert hand.state() == "unconfigured"
    done = ros.run("ros2", "lifecycle", "set", "/sdtc_pose", "configure")
    assert "Transitioning successful" in done.stdout
    assert "inactive" in ros.run("ros2", "lifecycle", "get", "/sdtc_pose").stdout
    assert "waiting for images" not in node.log
