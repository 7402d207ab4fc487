# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A process beside the node that does what a test tells it, step by step; `Hand` is the test's end of it.

    python hand.py        reads lines of JSON [method, arguments], answers each with a line of JSON

Every public method of `Remote` can be called on a `Hand`, with the same arguments.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from array import array
from collections.abc import Callable
from typing import Any

import scene


class Hand:
    """The test's end: `hand.image("/camera/image_raw", 3)` runs Remote.image in the process."""

    def __init__(self, ros: Any) -> None:
        self._running = ros.start(sys.executable, __file__, stdin=True)
        self._read = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, seconds: float = 60.0, **kwargs: Any) -> Any:
            process = self._running.process
            process.stdin.write(json.dumps([name, args, kwargs]) + "\n")
            process.stdin.flush()
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and process.poll() is None:
                for line in self._running.lines[self._read :]:
                    self._read += 1
                    if line.startswith("{"):
                        return _unpacked(name, json.loads(line))
                time.sleep(0.005)
            raise AssertionError(f"the hand did not answer {name}{args}:\n{self._running.log}")

        return call


def _unpacked(name: str, answer: dict[str, Any]) -> Any:
    assert "error" not in answer, f"{name}: {answer['error']}"
    return answer["value"]


class Remote:
    """What the process can do. Stamps are nanoseconds; image `number` is the scene's."""

    def __init__(self) -> None:
        import rclpy

        rclpy.init()
        self._rclpy, self._node = rclpy, rclpy.create_node("hand")
        self._publishers: dict[str, Any] = {}
        self._clients: dict[str, Any] = {}
        self._heard: dict[str, list[dict[str, Any]]] = {}
        self._stream: threading.Thread | None = None
        self._streaming = threading.Event()

    def spin(self, seconds: float = 0.0) -> None:
        self._until(lambda: False, seconds)

    def camera(self, topic: str, wait: bool = True, **policies: Any) -> None:
        """Make a publisher of images, best effort unless it is said otherwise, and wait until somebody listens."""
        from sensor_msgs.msg import Image

        publisher = self._publishers[topic] = self._node.create_publisher(Image, topic, _profile(policies))
        if wait:
            assert self._until(publisher.get_subscription_count, 30.0), f"nobody listens to {topic}"
            self.spin(0.3)  # discovery is done by either side for itself

    def gone(self, topic: str) -> None:
        """End a publisher."""
        self._node.destroy_publisher(self._publishers.pop(topic))

    def image(self, topic: str, number: int, stamp: int | None = None) -> None:
        self._publishers[topic].publish(_image(number, scene.stamp(number) if stamp is None else stamp))

    def stream(self, topics: list[str], hz: float, size: tuple[int, int] | None = None) -> None:
        """Publish on all the topics until `still`, images stamped with the present."""
        self._streaming.set()

        def run() -> None:
            begin, number = time.monotonic(), 0
            while self._streaming.is_set():
                for topic in topics:
                    self._publishers[topic].publish(_image(number % 20, time.time_ns(), size))
                number += 1
                time.sleep(max(0.0, begin + number / hz - time.monotonic()))

        self._stream = threading.Thread(target=run, daemon=True)
        self._stream.start()

    def still(self) -> None:
        self._streaming.clear()
        assert self._stream is not None
        self._stream.join()

    def listen(self, topic: str, **policies: Any) -> None:
        """Record the poses of a topic from here on."""
        from vision_msgs.msg import Detection2DArray

        heard = self._heard.setdefault(topic, [])
        profile = _profile({"reliability": "RELIABLE", "depth": 100, **policies})
        self._node.create_subscription(Detection2DArray, topic, lambda m: heard.append(_record(m)), profile)
        self._until(lambda: self._node.count_publishers(topic), 30.0)

    def heard(self, topic: str, count: int = 0, patience: float = 10.0) -> list[dict[str, Any]]:
        """What was recorded, when it is `count` messages or no more come."""
        self._until(lambda: len(self._heard[topic]) >= count, patience)
        return self._heard[topic]

    def transition(self, label: str, node: str = "/sdtc_pose") -> bool:
        """Ask for configure, activate, deactivate, cleanup or shutdown; whether it was made."""
        from lifecycle_msgs.msg import Transition
        from lifecycle_msgs.srv import ChangeState

        request = ChangeState.Request(transition=Transition(label=label))
        return bool(self._call(ChangeState, f"{node}/change_state", request).success)

    def state(self, node: str = "/sdtc_pose") -> str:
        from lifecycle_msgs.srv import GetState

        return str(self._call(GetState, f"{node}/get_state", GetState.Request()).current_state.label)

    def trigger(self, service: str) -> list[Any]:
        """Call a std_srvs/Trigger: success and message."""
        from std_srvs.srv import Trigger

        answer = self._call(Trigger, service, Trigger.Request())
        return [answer.success, answer.message]

    def set(self, name: str, value: Any, node: str = "/sdtc_pose") -> list[Any]:
        """Set a parameter: success and reason."""
        from rcl_interfaces.srv import SetParameters
        from rclpy.parameter import Parameter

        request = SetParameters.Request(parameters=[Parameter(name, value=value).to_parameter_msg()])
        result = self._call(SetParameters, f"{node}/set_parameters", request).results[0]
        return [result.successful, result.reason]

    def clock(self, stamp: int) -> None:
        """Publish the simulated time."""
        from rosgraph_msgs.msg import Clock

        if "/clock" not in self._publishers:
            publisher = self._publishers["/clock"] = self._node.create_publisher(Clock, "/clock", 1)
            self._until(publisher.get_subscription_count, 30.0)
            self.spin(0.5)
        message = Clock()
        message.clock.sec, message.clock.nanosec = divmod(stamp, 1_000_000_000)
        self._publishers["/clock"].publish(message)
        self.spin(0.1)

    def subscribers(self, topic: str, count: int, patience: float = 20.0) -> int:
        """How many subscriptions a topic has, when it is `count` or after `patience` seconds."""
        self._until(lambda: self._node.count_subscribers(topic) == count, patience)
        return int(self._node.count_subscribers(topic))

    def _call(self, kind: Any, name: str, request: Any) -> Any:
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self._node.create_client(kind, name)
            assert self._until(client.service_is_ready, 40.0), f"{name} is not there"
            self.spin(0.5)  # the other side may not have found the client yet: its answer would be lost
        future = client.call_async(request)
        assert self._until(future.done, 40.0), f"{name} does not answer"
        return future.result()

    def _until(self, condition: Callable[[], Any], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not (met := condition()) and time.monotonic() < deadline:
            self._rclpy.spin_once(self._node, timeout_sec=0.01)
        return bool(met)


def _profile(policies: dict[str, Any]) -> Any:
    """Policies by name, the enumerations' members by theirs; `deadline` in seconds."""
    from rclpy import qos
    from rclpy.duration import Duration

    profile = qos.QoSProfile(depth=policies.get("depth", 5), reliability=qos.QoSReliabilityPolicy.BEST_EFFORT)
    for name, kind in (("reliability", qos.QoSReliabilityPolicy), ("durability", qos.QoSDurabilityPolicy)):
        if name in policies:
            setattr(profile, name, kind[policies[name]])
    if "deadline" in policies:
        profile.deadline = Duration(seconds=policies["deadline"])
    return profile


def _image(number: int, stamp: int, size: tuple[int, int] | None = None) -> Any:
    import cv2
    from sensor_msgs.msg import Image

    pixels = scene.image(number) if size is None else cv2.resize(scene.image(number), size)
    made = Image(height=pixels.shape[0], width=pixels.shape[1], step=3 * pixels.shape[1], encoding="bgr8")
    made.header.frame_id = "camera_optical_frame"
    made.header.stamp.sec, made.header.stamp.nanosec = divmod(stamp, 1_000_000_000)
    made.data = array("B", pixels.tobytes())
    return made


def _record(message: Any) -> dict[str, Any]:
    from sdtc_ros.messages.poses import poses_from_message

    poses = poses_from_message(message)
    return {"stamp": poses.stamp, "ids": poses.track_ids.tolist(), "keypoints": poses.keypoints.tolist()}


def main() -> None:
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=lambda: [lines.put(line) for line in sys.stdin] + [lines.put("")], daemon=True).start()
    remote = Remote()
    while True:
        try:
            line = lines.get_nowait()
        except queue.Empty:
            remote.spin(0.01)
            continue
        if not line:
            return
        name, args, kwargs = json.loads(line)
        try:
            answer = {"value": getattr(remote, name)(*args, **kwargs)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
