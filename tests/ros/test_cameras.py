# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""One node, several cameras, one engine; another model between two frames; tracks begun anew on demand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scene
from conftest import Running
from fake_bundle import make_bundle

FRONT, REAR = "/front/image", "/rear/image"
# the node, saying so when an engine is made and when one is freed
COUNTS_ENGINES = """
import sys, weakref
import sdtc_ros.node.__main__
from sdtc_ros.engine.ort.host import OnnxEngine
begin = OnnxEngine.__init__
def told(self, *args, **kwargs):
    begin(self, *args, **kwargs)
    print("an engine is made", flush=True)
    weakref.finalize(self, print, "an engine is gone", flush=True)
OnnxEngine.__init__ = told
sys.exit(sdtc_ros.node.__main__.main())
"""


def poses_of(image: str) -> str:
    return image.replace("image", "sdtc/poses")


def start(ros: Any, hand: Any, models: list[str], *parameters: str) -> Running:
    """The node with two cameras, which are heard, and their poses listened to."""
    given = [word for parameter in (*models, "cameras:=[front, rear]", *parameters) for word in ("-p", parameter)]
    node = ros.start(sys.executable, "-c", COUNTS_ENGINES, "--ros-args", *given)
    for topic in (FRONT, REAR):
        hand.camera(topic)
        hand.listen(poses_of(topic))
    return node


def feed(hand: Any, topic: str, numbers: range) -> list[int]:
    """Images one by one, each when the one before was answered (lookahead 0); the numbers answered so far."""
    begin = len(hand.heard(poses_of(topic), patience=0.0))
    for place, number in enumerate(numbers):
        hand.image(topic, number)
        hand.heard(poses_of(topic), count=begin + place + 1, patience=3.0)
    return [scene.number_of(one["stamp"]) for one in hand.heard(poses_of(topic), patience=0.0)]


def test_two_cameras_share_one_engine_and_nothing_else(ros, models, hand) -> None:
    node = start(ros, hand, models, "lookahead:=0", "max_gap:=60.0")
    front, rear = range(10, 16), range(30, 34)
    answered_front, answered_rear = feed(hand, FRONT, front), feed(hand, REAR, rear)
    assert answered_front[-1] == 15 and set(answered_front) <= set(front)
    assert answered_rear[-1] == 33 and set(answered_rear) <= set(rear)
    for topic, numbers in ((FRONT, answered_front), (REAR, answered_rear)):
        for place, message in enumerate(hand.heard(poses_of(topic))):
            shown = scene.frames_of_joints(np.array(message["keypoints"][0], np.float32))
            seen = [numbers[min(max(p, 0), place)] for p in range(place - 2, place + 3)]
            assert shown == pytest.approx([seen[k % 5] for k in range(len(shown))], abs=0.01), "another's frame"
    assert node.log.count("an engine is made") == 1
    node.interrupt()
    assert f"front: stopped: {len(front)} frames received = {len(answered_front)} answered" in node.log
    assert f"rear: stopped: {len(rear)} frames received = {len(answered_rear)} answered" in node.log


def test_a_launched_node_places_every_cameras_topics(ros, models, hand) -> None:
    node = ros.launch(*models, "cameras:=[front, rear]", "image:=/robot/{camera}/image_raw", "poses:=/{camera}_poses",
                      "lookahead:=0")  # fmt: skip
    for name in ("front", "rear"):
        node.wait_for(f"{name}: waiting for images on /robot/{name}/image_raw; publishing poses on /{name}_poses")
    hand.camera("/robot/rear/image_raw")
    hand.listen("/rear_poses")
    for number in range(3):
        hand.image("/robot/rear/image_raw", number)
        hand.heard("/rear_poses", count=number + 1, patience=5.0)
    assert scene.number_of(hand.heard("/rear_poses", count=1)[-1]["stamp"]) == 2


def test_one_camera_dies_and_comes_back_and_the_other_does_not_notice(ros, models, hand) -> None:
    node = start(ros, hand, models, "lookahead:=0", "max_gap:=60.0", "max_silence:=1.0")
    assert feed(hand, FRONT, range(3))[-1] == 2
    hand.gone(FRONT)
    assert feed(hand, REAR, range(4))[-1] == 3
    node.wait_for("front: no image received for 1 s: nobody publishes on /front/image")
    hand.camera(FRONT)
    assert feed(hand, FRONT, range(3, 6))[-1] == 5
    ids = {tuple(message["ids"]) for message in hand.heard(poses_of(FRONT))}
    assert len(ids) == 1, "the person of the front camera kept its track"


def test_reload_loses_no_frame_of_any_camera(ros, models, hand, tmp_path: Path) -> None:
    node = start(ros, hand, models, "max_gap:=60.0")
    other = make_bundle(tmp_path / "other", delta=1, size=(36, 48)).folder
    assert hand.set("bundle", "/nowhere")[0]
    success, why = hand.trigger("/sdtc_pose/reload")
    assert not success
    assert why == (
        "the current model stays in use: model bundle '/nowhere' is not a folder; "
        "give the folder that contains model.json"
    )
    sent = {FRONT: 0, REAR: 0}

    def send(count: int) -> None:  # frame i waits for the answer to i - 2, so that a busy machine drops none
        for _ in range(count):
            for topic in sent:
                hand.image(topic, sent[topic])
                sent[topic] += 1
                hand.heard(poses_of(topic), count=sent[topic] - 2, patience=3.0)

    send(5)
    assert hand.set("bundle", str(other))[0]
    success, words = hand.trigger("/sdtc_pose/reload")
    assert success and words.startswith(f"model fake ({other}), 15 joints, lookahead 1 frames")
    node.wait_for("an engine is gone")
    send(5)
    for topic in sent:
        messages = hand.heard(poses_of(topic), count=9)
        assert [scene.number_of(message["stamp"]) for message in messages] == list(range(9))
        assert {tuple(message["ids"]) for message in messages} == {tuple(messages[0]["ids"])}, "tracks go on"
    assert "an engine is made" in node.log
    node.interrupt()
    assert node.log.count("10 frames received = 9 answered + 0 dropped for newer") == 2
    assert "Traceback" not in node.log


def test_reload_works_while_images_pour_in(ros, models, hand, tmp_path: Path) -> None:
    node = start(ros, hand, models, "lookahead:=0")
    hand.stream([FRONT, REAR], 20.0)
    hand.heard(poses_of(REAR), count=5)
    for size in ((36, 48), (24, 32)):
        bundle = make_bundle(tmp_path / f"{size[0]}", size=size).folder
        assert hand.set("bundle", str(bundle))[0]
        assert hand.trigger("/sdtc_pose/reload")[0]
    before = {topic: len(hand.heard(poses_of(topic), patience=0.0)) for topic in (FRONT, REAR)}
    for topic in (FRONT, REAR):
        assert len(hand.heard(poses_of(topic), count=before[topic] + 5)) >= before[topic] + 5
    hand.still()
    hand.heard(poses_of(REAR), count=10**6, patience=5.0)  # what is still at work on a busy machine
    node.interrupt()
    for line in (line for line in node.lines if "stopped: " in line):
        left, right = line.split("stopped: ")[1].split(" frames received = ")
        assert int(left) == sum(int(part.split()[0]) for part in right.split(" + "))
        assert "0 damaged + 0 waiting" in line
    assert "Traceback" not in node.log


def test_reload_and_reset_in_other_states(ros, models, hand, tmp_path: Path) -> None:
    node = start_unconfigured(ros, models)
    for service in ("reload", "reset_tracks"):
        assert hand.trigger(f"/sdtc_pose/{service}") == [False, "the node is not configured: there is no model yet"]
    assert hand.transition("configure")
    other = make_bundle(tmp_path / "other", delta=1).folder
    assert hand.set("bundle", str(other))[0]
    assert hand.trigger("/sdtc_pose/reload")[0]
    assert hand.trigger("/sdtc_pose/reset_tracks")[0]
    assert hand.transition("activate")
    node.wait_for("waiting for images on /image")
    assert hand.set("bundle", "")[0]
    success, words = hand.trigger("/sdtc_pose/reload")
    assert success and "sdtc-lite" in words, "the empty name is the shipped model's"


# the node, with a reload whose steps take a long time
RELOADS_LONG = """
import sys, time
import sdtc_ros.node.__main__
import sdtc_ros.node.services as services
def slowly(step, does):
    def slow(*args):
        print(f"{step} now", flush=True)
        time.sleep(4)
        return does(*args)
    return slow
services.load_model = slowly("loading", services.load_model)
services.trim = slowly("trimming", services.trim)
sys.exit(sdtc_ros.node.__main__.main())
"""


@pytest.mark.parametrize("step", ["loading", "trimming"])
def test_a_cleanup_during_a_reload_is_the_later_word(ros, models, hand, step, tmp_path: Path) -> None:
    node = start_unconfigured(ros, models, "-c", RELOADS_LONG)
    assert hand.transition("configure")
    other = make_bundle(tmp_path / "other", delta=1).folder
    assert hand.set("bundle", str(other))[0]
    call = ros.start("ros2", "service", "call", "/sdtc_pose/reload", "std_srvs/srv/Trigger")
    node.wait_for(f"{step} now")
    assert hand.transition("cleanup")
    assert hand.set("bundle", models[0].split(":=")[1])[0]
    assert hand.transition("configure")
    call.wait_for("message=")
    if step == "loading":
        assert "success=False, message='the node was cleaned up while the model was loading'" in call.log
    else:
        assert f"success=True, message='model fake ({other})" in call.log
    success, words = hand.trigger("/sdtc_pose/reload")
    assert success and "lookahead 2 frames" in words
    assert hand.transition("activate"), "the node lives"
    assert "Traceback" not in node.log


def start_unconfigured(ros: Any, models: list[str], *how: str) -> Running:
    given = [word for parameter in (*models, "autostart:=false") for word in ("-p", parameter)]
    return ros.start(sys.executable, *(how or ("-m", "sdtc_ros.node")), "--ros-args", *given)


def test_a_model_that_does_not_fit_the_lookahead_is_refused(ros, models, hand, tmp_path: Path) -> None:
    start(ros, hand, models, "lookahead:=2", "max_gap:=60.0")
    hand.set("bundle", str(make_bundle(tmp_path / "other", delta=1).folder))
    success, why = hand.trigger("/sdtc_pose/reload")
    assert not success and "lookahead must be between 0 and 1 for this model, got 2" in why
    for number in range(4):
        hand.image(FRONT, number)
        hand.heard(poses_of(FRONT), count=number - 1, patience=3.0)
    assert hand.heard(poses_of(FRONT), count=2), "and the old one works on"


def test_reset_tracks_gives_new_ids_and_loses_nothing(ros, models, hand) -> None:
    start(ros, hand, models, "max_gap:=60.0", "lookahead:=1")
    for number in range(4):
        hand.image(FRONT, number)
        hand.heard(poses_of(FRONT), count=number, patience=3.0)
    assert hand.trigger("/sdtc_pose/reset_tracks")[0]
    assert len(hand.heard(poses_of(FRONT), count=4)) == 4, "what waited for a later frame was answered"
    for number in range(4, 7):
        hand.image(FRONT, number)
        hand.heard(poses_of(FRONT), count=number, patience=3.0)
    messages = hand.heard(poses_of(FRONT), count=6)
    assert [scene.number_of(message["stamp"]) for message in messages] == list(range(6))
    before, after = {tuple(m["ids"]) for m in messages[:4]}, {tuple(m["ids"]) for m in messages[4:]}
    assert len(before) == len(after) == 1
    assert max(before)[0] < min(after)[0], "an id is never used twice"
