# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The node's services beside the lifecycle's: `~/reload` another model, `~/reset_tracks` (both std_srvs/Trigger).

A reload loads and warms the bundle that parameter `bundle` names now, beside the one at work, and changes over between
two frames: what waits is processed by the old model, people keep their tracks, and no frame of any camera is lost to
it. Where it fails, the old model stays in use and the response says why.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeVar

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

from sdtc_ros.node.camera import Camera
from sdtc_ros.node.health.health import in_words
from sdtc_ros.node.health.memory import trim
from sdtc_ros.node.loading import Model, load_model
from sdtc_ros.node.ros_parameters import RosParameters
from sdtc_ros.node.stream import change_over, restart
from sdtc_ros.node.worker import LiveWorker

T = TypeVar("T")
NOT_CONFIGURED = "the node is not configured: there is no model yet"


class Served(Protocol):
    """What the services need of the node, an rclpy one."""

    cameras: list[Camera]
    parameters: RosParameters
    worker: LiveWorker | None
    model: Model | None
    configuration: int  # another one after every cleanup
    executor: Any
    create_service: Any
    get_logger: Any

    def describe_model(self) -> str:
        """The model at work, in a sentence."""


class Services:
    """Both services, from the node's making on."""

    def __init__(self, node: Served) -> None:
        """Each in a callback group of its own: one that waits must not hold up the images."""
        self._node = node
        for name, answer in (("~/reload", self._reload), ("~/reset_tracks", self._reset_tracks)):
            node.create_service(Trigger, name, answer, callback_group=MutuallyExclusiveCallbackGroup())

    async def _reload(self, request: Any, response: Any) -> Any:
        node = self._node
        if not node.cameras:
            return _answer(response, NOT_CONFIGURED, success=False)
        values, configuration = node.parameters.values(), node.configuration
        name = values["bundle"] or "the default model"
        node.get_logger().info(f"loading {name} beside the current one")
        try:
            model = await self._in_background(lambda: load_model(values))
            while not await self._between_frames(lambda: self._change_over(model, configuration)):
                pass  # deactivated while it waited: then at once
        except Exception as error:  # also a runtime's own: the node must not die of it
            return self._refused(response, f"the current model stays in use: {in_words(error)}")
        if node.model is not model:
            return self._refused(response, "the node was cleaned up while the model was loading")
        words = node.describe_model()  # now: the node may be cleaned up while this waits
        await self._in_background(trim)  # the old model's memory
        return _answer(response, words, success=True)

    async def _reset_tracks(self, request: Any, response: Any) -> Any:
        node = self._node
        if not node.cameras:
            return _answer(response, NOT_CONFIGURED, success=False)
        try:
            while not await self._between_frames(lambda: restart([camera.stream for camera in node.cameras])):
                pass
        except Exception as error:  # the engine's, at what still waits; the node must not die of it
            return self._refused(response, f"tracks and windows are unchanged: {in_words(error)}")
        return _answer(response, "tracks and windows start over, with new ids", success=True)

    def _change_over(self, model: Model, configuration: int) -> None:
        """Put all cameras on the model, or none (worker's thread, or the executor's where there is no worker).

        None either where the node's configuration is no longer the one that the model was loaded for.
        """
        if self._node.configuration == configuration:
            change_over([camera.stream for camera in self._node.cameras], model)
            self._node.model = model

    async def _between_frames(self, action: Callable[[], None]) -> bool:
        """Have the worker do it, or do it where there is none; False where the worker was stopped before it did."""
        worker = self._node.worker
        if worker is None:
            action()
            return True
        done = worker.between_frames(action)
        try:
            await self._in_background(done.result)
        except CancelledError:
            return False
        return True

    async def _in_background(self, work: Callable[[], T]) -> T:
        """What `work`, called in a thread of its own, returns or raises."""
        executor = self._node.executor  # now: once that has ended, the node has none
        future: Any = Future(executor=executor)

        def run() -> None:
            try:
                report = partial(future.set_result, work())
            except Exception as error:
                report = partial(future.set_exception, error)
            with suppress(Exception):  # the executor has ended: nobody waits any more
                report()
                executor.wake()

        threading.Thread(target=run, name="sdtc-service", daemon=True).start()
        result: T = await future
        return result

    def _refused(self, response: Any, sentence: str) -> Any:
        self._node.get_logger().error(sentence)
        return _answer(response, sentence, success=False)


def _answer(response: Any, sentence: str, *, success: bool) -> Any:
    response.success, response.message = success, sentence
    return response
