# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Image messages -> frames, and frames -> image messages, without cv_bridge.

Like `messages`, it works on ROS's own Python messages and on a bag library's alike: it reads attributes and sets them.
"""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
import numpy.typing as npt

from sdtc_ros.errors import InputError
from sdtc_ros.messages.encodings import compressed_to_bgr, image_to_bgr
from sdtc_ros.messages.poses import stamp_of
from sdtc_ros.types import Frame


def frame_of_message(message: Any, arrival: int) -> Frame:
    """The frame of a sensor_msgs Image or CompressedImage.

    arrival: nanoseconds, taken as the stamp where the driver left the header's at zero. The frame may share memory
    with the message. Raises InputError where the image is damaged or its stamp is no time, UnknownEncodingError where
    it is of an unknown form.
    """
    _check_stamp(message.header.stamp)
    try:
        if hasattr(message, "encoding"):
            image = image_to_bgr(
                message.data, message.height, message.width, message.encoding, message.step, message.is_bigendian
            )
        else:
            image = compressed_to_bgr(message.data, message.format)
    except InputError as error:
        where = f"stamp {stamp_of(message.header)}, frame_id '{message.header.frame_id}'"
        raise type(error)(f"an image is left out ({where}): {error}") from None
    return Frame(image, stamp_of(message.header) or arrival, message.header.frame_id)


def _check_stamp(stamp: Any) -> None:
    """Raise InputError for a stamp that is no builtin_interfaces/Time: poses could not go out under it."""
    if not (0 <= stamp.nanosec < 1_000_000_000 and -(1 << 31) <= stamp.sec < 1 << 31):
        raise InputError(
            f"image skipped: its stamp, {stamp.sec} s and {stamp.nanosec} ns, is no time (0 to 999999999 ns, "
            "seconds of 32 bits); the camera's driver fills its header wrongly"
        )


def fill_image_message(message: Any, image: npt.NDArray[np.uint8]) -> Any:
    """Put an H x W x 3 uint8 BGR image into a sensor_msgs/Image (its header is left alone); returns the message."""
    message.height, message.width = image.shape[:2]
    message.encoding, message.is_bigendian, message.step = "bgr8", 0, 3 * image.shape[1]
    # an array.array is taken as it is; any other sequence is checked element by element
    data = array("B")
    data.frombytes(np.ascontiguousarray(image).data)
    message.data = data
    return message
