# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A camera's calibration: the camera_info that is published beside its images."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

from sensor_msgs.msg import CameraInfo

from sdtc_ros.errors import UsageError
from sdtc_ros.node.input.image_source import IMAGE
from sdtc_ros.node.ports import Ports

INFO_TIMEOUT = 5.0  # seconds without camera_info after which the log says that somebody waits for it


class Calibration:
    """The newest camera_info that is published beside a camera's images; heard only while it is `wanted`."""

    def __init__(
        self, ports: Ports, wanted: Callable[[], bool], what: str = "markers", beside: str | None = None
    ) -> None:
        """Subscribe to nothing yet.

        what: is made with it, for the log (empty: nothing depends on it); beside: an image topic other than the
        camera's.
        """
        self.newest: Any = None
        self._ports, self._wanted, self._what, self._beside = ports, wanted, what, beside
        self._subscription: Any = None
        self._since = 0.0

    @property
    def topic(self) -> str:
        """Where it is looked for, as image_transport does: `camera_info` beside the image topic."""
        return (self._beside or self._ports.resolved(IMAGE)).rpartition("/")[0] + "/camera_info"

    def every_second(self) -> None:
        """Begin or cease to listen, as it is wanted; say so where it is waited for in vain."""
        if not self._wanted():
            self.close()
        elif self._subscription is None:
            self._subscribe()
        elif self._what and self.newest is None and monotonic() - self._since >= INFO_TIMEOUT:
            self._ports.warn("camera_info", f"{self._what} need camera_info, but none arrives on {self.topic}")

    def _subscribe(self) -> None:
        try:
            self._subscription = self._ports.subscription(CameraInfo, self.topic, self._heard)
        except UsageError as error:  # its qos_overrides are read only now: the poses do not depend on them
            self._ports.warn("camera_info", f"there are no {self._what or 'checks of the depth image'}: {error}")
        self._since = monotonic()

    def close(self) -> None:
        """Cease to listen, and forget."""
        self.newest = None
        if self._subscription is not None:
            self._ports.node.destroy_subscription(self._subscription)
            self._subscription = None

    def _heard(self, message: Any) -> None:
        self.newest = message
