"""The ROS 2 lifecycle node: images in, poses (and, while somebody listens, annotated images) out.

configure loads and warms the model and makes the publishers, activate subscribes and begins to work, deactivate stops,
cleanup frees the model. One node may serve several cameras with one model; see `camera` for their topics.
"""

from __future__ import annotations

import logging
import threading
import traceback
from dataclasses import replace
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from sdtc_ros.errors import SdtcError
from sdtc_ros.live.camera import Camera
from sdtc_ros.live.loading import Loaded, load, pipeline_config
from sdtc_ros.live.ros_parameters import RosParameters
from sdtc_ros.live.shared import Shared
from sdtc_ros.live.worker import LiveWorker

NODE_NAME = "sdtc_pose"
STOP_SECONDS = 1.0  # how long a frame at work is waited for at the end


class PoseNode(LifecycleNode):
    """Poses of one or several cameras. `ended` is set when the node cannot go on; `error` then says why."""

    def __init__(self, ended: threading.Event, **options: Any) -> None:
        """Declare the parameters; raises UsageError for one that was given a value it must not have."""
        super().__init__(NODE_NAME, **options)
        self.error: Exception | None = None
        self.cameras: list[Camera] = []
        self.worker: LiveWorker | None = None
        self._ended = ended
        self.parameters = RosParameters(self)
        self.shared = Shared(self)
        self._log_handler = _RosLogHandler(self.get_logger())
        logging.getLogger("sdtc_ros").addHandler(self._log_handler)
        self.create_timer(1.0, self._every_second, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def start(self) -> None:
        """Configure and activate, where parameter `autostart` asks for it; what fails then is the node's end."""
        if not self.parameters["autostart"]:
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()
        if self.error is not None:
            self._ended.set()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm the model, make the cameras and their publishers."""
        self.error = None
        try:
            self.shared.configure()
            loaded = load(self.parameters.values())
            for name in self.parameters["cameras"] or [""]:
                self.cameras.append(Camera(self, name, loaded.pipeline()))
        except Exception as error:  # rclpy would swallow it
            return self._refused(error)
        self.parameters.configured = True
        self._tell_model(loaded)
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Begin to work and subscribe to the images."""
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
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop working."""
        self._stop(None)  # a worker left behind would share the pipelines with the next one
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Free the model and its device."""
        self._free()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop and free, from whatever state."""
        self._stop(STOP_SECONDS)
        self._free()
        return super().on_shutdown(state)

    def _tell_model(self, loaded: Loaded) -> None:
        bundle = loaded.model.bundle
        self.get_logger().info(
            f"model {bundle.name} ({bundle.folder}), {len(bundle.skeleton)} joints, lookahead "
            f"{self.cameras[0].stream.pipeline.lookahead} frames, on {', '.join(loaded.model.providers)}"
        )

    def _settle(self) -> None:
        """Let parameters that were set count for the next frames (worker's thread)."""
        pipelines = [camera.stream.pipeline for camera in self.cameras]
        config = pipeline_config(self.parameters.values())
        for pipeline in pipelines:
            if pipeline.config != config:
                pipeline.configure(replace(config, tracking=pipeline.config.tracking))

    def _every_second(self) -> None:
        for camera in self.cameras:
            camera.every_second()
        self.shared.every_second()

    def _refused(self, error: Exception) -> TransitionCallbackReturn:
        """Say why a transition cannot be made; the node stays as it was."""
        self._free()
        self.error = error
        self._tell(error)
        return TransitionCallbackReturn.FAILURE

    def _failed(self, error: Exception) -> None:
        """End the node: its worker cannot go on."""
        self.error = error
        self._tell(error)
        self.shared.every_second()  # the last diagnostics say why
        self._ended.set()

    def _tell(self, error: Exception) -> None:
        """One sentence for what is the user's to mend, a traceback for a defect."""
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
                camera.info(f"stopped: {camera.stream.counts.sum()}")

    def _free(self) -> None:
        self.shared.free()
        for camera in self.cameras:
            camera.close()
        self.cameras = []
        self.parameters.configured = False


class _RosLogHandler(logging.Handler):
    """Puts what the pipeline logs into the node's log."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._logger.warning(record.getMessage())
