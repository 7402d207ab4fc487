# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The ROS 2 lifecycle node: images in, poses (and, while somebody listens, annotated images) out.

configure loads and warms the model, activate subscribes, deactivate stops, cleanup frees. Topics are relative, so a
namespace and remappings place them: `image` in; `sdtc/poses`, `sdtc/image_annotated` out.
"""

from __future__ import annotations

import logging
import threading
import traceback
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import QoSDurabilityPolicy, QoSHistoryPolicy, QoSPolicyKind, QoSProfile, QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection2DArray

from sdtc_ros.draw import draw_poses
from sdtc_ros.errors import SdtcError, UsageError
from sdtc_ros.image_messages import fill_image_message
from sdtc_ros.live.parameters import COMPRESSED, PARAMETERS, Parameter, make_pipeline
from sdtc_ros.live.silence import Silence, why_silent
from sdtc_ros.live.worker import LiveWorker
from sdtc_ros.messages import message_types, ros_message, to_detections, to_header
from sdtc_ros.pipeline import Pipeline
from sdtc_ros.poses import FramePoses

NODE_NAME = "sdtc_pose"
IMAGE, POSES, ANNOTATED = "image", "sdtc/poses", "sdtc/image_annotated"
STOP_SECONDS = 1.0  # how long a frame at work is waited for at the end
WARN_SECONDS = 5.0  # at most one warning about frames left out in this time
_OVERRIDABLE = QoSOverridingOptions(
    (
        QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY, QoSPolicyKind.DURABILITY,
        QoSPolicyKind.DEADLINE, QoSPolicyKind.LIVELINESS, QoSPolicyKind.LIVELINESS_LEASE_DURATION,
    )
)  # fmt: skip


class PoseNode(LifecycleNode):
    """One camera's poses. `ended` is set when the node cannot go on; `error` then says why."""

    def __init__(self, ended: threading.Event, **options: Any) -> None:
        """Declare the parameters; raises UsageError for one that was given a value it must not have."""
        super().__init__(NODE_NAME, **options)
        self.error: Exception | None = None
        self._ended = ended
        self._pipeline: Pipeline | None = None
        self._worker: LiveWorker | None = None
        self._subscription: Any = None
        self._types = message_types(ros_message)
        for parameter in PARAMETERS:
            self._declare(parameter)
        self.add_on_set_parameters_callback(self._check_new_values)
        self._log_handler = _RosLogHandler(self.get_logger())
        logging.getLogger("sdtc_ros").addHandler(self._log_handler)
        self.create_timer(1.0, self._every_second, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def start(self) -> None:
        """Configure and activate, where parameter `autostart` asks for it; what fails then is the node's end."""
        if not self._value("autostart"):
            return
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()
        if self.error is not None:
            self._ended.set()

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and warm the model, make the publishers."""
        self.error = None
        try:
            self._pipeline = make_pipeline({parameter.name: self._value(parameter.name) for parameter in PARAMETERS})
            self._poses = self.create_publisher(
                Detection2DArray, POSES, _reliable(10), qos_overriding_options=_OVERRIDABLE
            )
            self._annotated = self.create_publisher(Image, ANNOTATED, _reliable(1), qos_overriding_options=_OVERRIDABLE)
        except Exception as error:  # rclpy would swallow it
            return self._refused(error)
        bundle = self._pipeline.bundle
        self.get_logger().info(
            f"model {bundle.name} ({bundle.folder}), {len(bundle.skeleton)} joints, lookahead "
            f"{self._pipeline.lookahead} frames, on {', '.join(getattr(self._pipeline.engine, 'providers', ['cpu']))}"
        )
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the images and begin to work."""
        assert self._pipeline is not None
        try:
            self._worker = LiveWorker(
                self._pipeline, self._publish, warn=self._warn, failed=self._failed,
                now=lambda: self.get_clock().now().nanoseconds, max_age=lambda: self._value("max_age"),
            )  # fmt: skip
            self._worker.start()
            self._silence = Silence()
            self._subscription = self._subscribe()
        except Exception as error:
            return self._refused(error)
        self.get_logger().info(
            f"waiting for images on {self._subscription.topic_name}, poses go to {self._poses.topic_name}"
        )
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Unsubscribe and stop working."""
        self._stop(None)  # a worker left behind would share the pipeline with the next one
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

    def _declare(self, parameter: Parameter) -> None:
        descriptor = ParameterDescriptor(
            description=parameter.description, additional_constraints=", ".join(parameter.choices)
        )
        if parameter.low is not None and parameter.high is not None:
            if isinstance(parameter.default, float):
                limits = FloatingPointRange(from_value=float(parameter.low), to_value=float(parameter.high))
                descriptor.floating_point_range = [limits]
            else:
                descriptor.integer_range = [IntegerRange(from_value=int(parameter.low), to_value=int(parameter.high))]
        # first of any type, to learn what was given: rclpy takes no 1 for 1.0, and tells a wrong type in its own terms
        any_type = ParameterDescriptor(dynamic_typing=True)
        given = self.declare_parameter(parameter.name, parameter.default, any_type).value
        self.undeclare_parameter(parameter.name)
        self.declare_parameter(parameter.name, parameter.accept(given), descriptor, ignore_override=True)

    def _check_new_values(self, parameters: list[RosParameter]) -> SetParametersResult:
        """Refuse, with the reason, what a parameter must not be, or not now."""
        known = {parameter.name: parameter for parameter in PARAMETERS}
        for new in parameters:
            if new.name not in known:
                continue
            try:
                known[new.name].check(new.value)
            except UsageError as error:
                return SetParametersResult(successful=False, reason=str(error))
            if self._pipeline is not None and not known[new.name].dynamic:
                reason = f"'{new.name}' is read when the node is configured: deactivate it and clean it up first"
                return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _value(self, name: str) -> Any:
        return self.get_parameter(name).value

    def _subscribe(self) -> Any:
        """Sensor data's QoS, but only the newest image: the slot would drop the others anyway."""
        qos = QoSProfile(
            history=QoSHistoryPolicy.KEEP_LAST, depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT,
            durability=QoSDurabilityPolicy.VOLATILE,
        )  # fmt: skip
        assert self._worker is not None
        kind, topic = Image, IMAGE
        if self._value("transport") == COMPRESSED:  # named after the topic that `image` is remapped to
            kind, topic = CompressedImage, self.resolve_topic_name(IMAGE) + "/compressed"
        return self.create_subscription(kind, topic, self._worker.offer, qos, qos_overriding_options=_OVERRIDABLE)

    def _publish(self, result: FramePoses) -> None:
        """Send a keyframe's poses, and draw them if somebody looks (worker's thread)."""
        assert self._pipeline is not None
        skeleton = self._pipeline.bundle.skeleton
        self._poses.publish(to_detections(result, skeleton, self._types))
        if self._annotated.get_subscription_count():
            message = Image(header=to_header(result.frame.stamp, result.frame.frame_id, self._types))
            self._annotated.publish(fill_image_message(message, draw_poses(result, skeleton)))

    def _warn(self, sentence: str) -> None:
        self.get_logger().warning(sentence, throttle_duration_sec=WARN_SECONDS)

    def _every_second(self) -> None:
        """Log the statistics, and that the camera is silent, where it is time to."""
        worker, period, limit = self._worker, self._value("statistics_period"), self._value("max_silence")
        if worker is None:
            return
        if 0 < period <= worker.seconds_since_report + 0.5:
            self.get_logger().info(worker.report().line())
        if self._silence.is_news(worker.counts.received, limit):
            self.get_logger().warning(f"no image came for {limit:g} s: {why_silent(self, self._subscription)}")

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
        self._ended.set()

    def _tell(self, error: Exception) -> None:
        """One sentence for what is the user's to mend, a traceback for a defect."""
        ours = not isinstance(error, SdtcError)
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__)) if ours else str(error)
        self.get_logger().fatal(text)

    def _stop(self, seconds: float | None) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
        if self._worker is not None:
            self._worker.stop(seconds)
            counts = self._worker.counts
            self.get_logger().info(
                f"stopped: {counts.received} frames received = {counts.answered} answered + {counts.replaced} dropped "
                f"for newer + {counts.too_old} too old + {counts.damaged} damaged + {counts.waiting} waiting"
            )
            self._worker = None

    def _free(self) -> None:
        if self._pipeline is not None:
            self._pipeline = None
            for name in ("_poses", "_annotated"):
                if hasattr(self, name):
                    self.destroy_publisher(getattr(self, name))


class _RosLogHandler(logging.Handler):
    """Puts what the pipeline logs into the node's log."""

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        self._logger.warning(record.getMessage())


def _reliable(depth: int) -> QoSProfile:
    """Heard by reliable and by best-effort subscribers alike."""
    return QoSProfile(depth=depth, reliability=QoSReliabilityPolicy.RELIABLE)
