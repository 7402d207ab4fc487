# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The ROS 2 lifecycle node: images in, poses (and, while somebody listens, annotated images) out.

configure loads and warms the model and makes the publishers, activate subscribes and begins to work, deactivate stops,
cleanup frees the model. One node may serve several cameras with one model; see `camera` for their topics.
"""

from __future__ import annotations

import logging
import threading
import traceback
from contextlib import suppress
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from sdtc_ros.errors import SdtcError
from sdtc_ros.node.camera import Camera
from sdtc_ros.node.health.diagnostics import Diagnostics
from sdtc_ros.node.health.health import same_name
from sdtc_ros.node.health.memory import give_back, settle
from sdtc_ros.node.health.watchdog import Watchdog, namesakes
from sdtc_ros.node.loading import Model, load, pipeline_config
from sdtc_ros.node.ports import Ports
from sdtc_ros.node.ros_parameters import RosParameters
from sdtc_ros.node.services import Services
from sdtc_ros.node.shared import Shared
from sdtc_ros.node.worker import LiveWorker

NODE_NAME = "sdtc_pose"
STOP_SECONDS = 1.0  # how long a frame at work is waited for at the end


class PoseNode(LifecycleNode):
    """Poses of one or several cameras. `ended` is set when the node cannot go on; `error` then says why."""

    def __init__(self, ended: threading.Event, **options: Any) -> None:
        """Declare the parameters; raises UsageError for one that was given a value it must not have."""
        super().__init__(NODE_NAME, **options)
        self.error: Exception | None = None
        self._refusal: Exception | None = None  # why the last transition was not made
        self.cameras: list[Camera] = []
        self.worker: LiveWorker | None = None
        self.model: Model | None = None
        self.configuration = 0  # how often one was given up: what was begun for an earlier one is not for the present
        self.stage = "unconfigured"  # of the lifecycle, in words
        self._settled = False  # whether the pipelines have the parameters' present values
        self._timeless = Watchdog()
        self._namesakes = 0  # other nodes of this one's name, when last looked
        self._litter = False  # something large was given up
        self._ended = ended
        self.parameters = RosParameters(self, self._parameters_changed)
        self._shared = Shared(self)
        self._diagnostics = Diagnostics(self, self.parameters)
        self._own_services = Services(self)
        self._log_handler = _RosLogHandler(self.get_logger())
        logging.getLogger("sdtc_ros").addHandler(self._log_handler)
        self.create_timer(1.0, self._every_second, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def start(self) -> None:
        """Configure and activate, where parameter `autostart` asks for it; what fails then is the node's end."""
        if not self.parameters["autostart"]:
            return
        for transition in (self.trigger_configure, self.trigger_activate):
            if self._ended.is_set():
                return
            if transition() != TransitionCallbackReturn.SUCCESS and not self._ended.is_set():
                self.error = self._refusal
                self._ended.set()
                return

    def end(self) -> None:
        """Shut down from whatever state; one that was shut down before stays so."""
        if self.error is not None:
            with suppress(Exception):  # the last diagnostics say why; what goes wrong here must not hide it
                self._send_diagnostics()
        with suppress(RuntimeError):  # finalized already, or in the middle of a transition that was abandoned
            self.trigger_shutdown()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm the model, make the cameras and their publishers."""
        self.stage = "configuring"
        try:
            self._shared.configure(self.parameters["hri"])
            self._send_diagnostics()  # nothing else is heard of the node until the model is loaded
            loaded = load(self.parameters.values())
            for name in self.parameters["cameras"] or [""]:
                ports = Ports(self, self.parameters, name)
                number = len(self.cameras)
                self.cameras.append(Camera(ports, loaded.pipeline(number), self._shared, number))
        except Exception as error:  # rclpy would swallow it
            self._free()
            self.stage = "unconfigured"
            return self._refused(error)
        self.model = loaded.model
        self.parameters.configured, self.stage = True, "inactive"
        self.get_logger().info(self.describe_model())
        settle()
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work and subscribe to the images."""
        self._settled = False
        try:
            self.worker = LiveWorker(
                [camera.stream for camera in self.cameras], failed=self._failed, before_round=self._settle
            )
            self.worker.start()
            for camera in self.cameras:
                camera.activate()
        except Exception as error:
            self._stop(None)
            return self._refused(error)
        self.stage = "active"
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop working."""
        self._stop(None)  # a worker left behind would share the pipelines with the next one
        self.stage = "inactive"
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and its device."""
        self._free()
        self.stage = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free, from whatever state."""
        self._stop(STOP_SECONDS)
        self._free()
        self.stage = "finalized"
        return super().on_shutdown(state)

    def describe_model(self) -> str:
        """The model at work, in a sentence; the node must be configured."""
        assert self.model is not None
        bundle = self.model.bundle
        return (
            f"model {bundle.name} ({bundle.folder}), {len(bundle.skeleton)} joints, lookahead "
            f"{self.cameras[0].stream.pipeline.max_lookahead} frames, on {', '.join(self.model.providers)}"
        )

    def _settle(self) -> None:
        """Let parameters that were set count for the next frames (worker's thread)."""
        if self._settled:
            return
        self._settled = True
        config = pipeline_config(self.parameters.values())
        for camera in self.cameras:
            if camera.stream.pipeline.config != config:
                camera.stream.pipeline.configure(config)

    def _parameters_changed(self) -> None:
        self._settled = False
        if self.worker is not None:
            self.worker.wake()

    def _every_second(self) -> None:
        if self._litter:  # cameras and what they made hold each other and the engine, the executor held them till now
            give_back()
            self._litter = False
        for camera in self.cameras:
            try:
                camera.every_second()
            except Exception:  # the poses do not depend on it
                camera.ports.warn("every second", f"the periodic update failed: {traceback.format_exc()}")
        self._watch_clock()
        self._watch_name()
        self._shared.every_second()
        self._send_diagnostics()

    def _send_diagnostics(self) -> None:
        self._diagnostics.send(self.cameras, self.stage, self.error, self._namesakes)

    def _watch_clock(self) -> None:
        """Say it once if the time is to be simulated, and nobody does."""
        clock = self.get_clock()
        if not clock.ros_time_is_active or clock.now().nanoseconds:
            self._timeless = Watchdog()
        elif self._timeless.is_news(0, self.parameters["max_silence"]):
            self.get_logger().warning("use_sim_time is set, but nothing is published on /clock: max_age has no effect")

    def _watch_name(self) -> None:
        """Say it once if another node has our name."""
        others = namesakes(self)
        if others > self._namesakes:
            self.get_logger().warning(same_name(self.get_fully_qualified_name(), others))
        self._namesakes = others

    def _refused(self, error: Exception) -> TransitionCallbackReturn:
        """Say why a transition cannot be made; the node stays as it was."""
        self._report(error)
        self._refusal = error.with_traceback(None)  # which would keep what was loaded so far
        return TransitionCallbackReturn.FAILURE

    def _failed(self, error: Exception) -> None:
        """End the node: its worker cannot go on."""
        self.error = error
        self._report(error)
        self._ended.set()

    def _report(self, error: Exception) -> None:
        """One sentence for what is the user's to mend, a traceback for a defect; nothing once the node is to end."""
        if self._ended.is_set():  # the executor is shut down by now, whatever was being started
            return
        ours = not isinstance(error, SdtcError)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__)) if ours else str(error)
        self.get_logger().fatal(text)

    def _stop(self, seconds: float | None) -> None:
        for camera in self.cameras:
            camera.deactivate()
        if self.worker is not None:
            self.worker.stop(seconds)
            self.worker = None
            for camera in self.cameras:
                camera.ports.info(f"stopped: {camera.stream.counts.sum()}")

    def _free(self) -> None:
        self._shared.free()
        for camera in self.cameras:
            camera.close()
        self.cameras, self.model = [], None
        self.configuration += 1
        self.parameters.configured = False
        self._litter = True


class _RosLogHandler(logging.Handler):
    """Puts what the pipeline logs into the node's log."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._logger.warning(record.getMessage())
