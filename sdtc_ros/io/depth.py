# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A bag's depth images and camera_info beside its colour images: read along as the frames need them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag import COMPRESSED_TYPE, IMAGE_TYPE, BagReader, BagTopic, choose_image_topic
from sdtc_ros.lifting.camera import CameraModel
from sdtc_ros.lifting.depth_buffer import DepthBuffer
from sdtc_ros.messages.camera_model import camera_model, view_difference
from sdtc_ros.messages.depth import FloatArray, depth_of_message
from sdtc_ros.messages.poses import stamp_of
from sdtc_ros.messages.typestore import typestore

INFO_TYPE = "sensor_msgs/msg/CameraInfo"
AUTO = "auto"


class BagDepth:
    """Depth images by stamp, asked for in rising order; memory holds a few of them.

    Bags are read topic by topic, so depth is read up to a frame's stamp when it is asked for. missing: frames for
    which none lay within the tolerance; damaged: depth images that could not be read.
    """

    def __init__(
        self, path: Path, depth: str = AUTO, info: str = AUTO, tolerance: float = 0.02, image: str | None = None
    ) -> None:
        """Open the bag's topics; `auto` is its only depth topic, and the only camera_info beside the depth or colour.

        image: the topic of the colour images (None: the bag's only one); where both have a camera_info, `difference`
        says how the depth's view differs from theirs. Raises UsageError where a topic is not there or a choice is
        needed, InputError for a bag that cannot be read.
        """
        reader = BagReader(path)
        self.topic = _depth_topic(reader, depth).name
        self.info_topic = _info_topic(reader, info, self.topic)
        self._info = _first_message(reader, self.info_topic)
        self.difference = self._compared(reader, image)
        self._frames = self._read(reader)
        self._buffer, self._tolerance = DepthBuffer[FloatArray](), tolerance
        self.missing = self.damaged = 0
        self.problem = ""  # why the first damaged one could not be read
        self.frame_id = ""  # of the newest depth image

    def camera(self, size: tuple[int, int]) -> CameraModel:
        """The camera of images of `size` (width, height); raises InputError where camera_info does not fit them."""
        return camera_model(self._info, size)

    def at(self, stamp: int) -> FloatArray | None:
        """The depth of a colour frame, H x W float32 metres; None, counted, where there is none."""
        while not self._buffer.covers(stamp):
            frame = next(self._frames, None)
            if frame is None:
                break
            self._buffer.add(*frame)
        found = self._buffer.nearest(stamp, self._tolerance)
        self.missing += found is None
        return found

    @property
    def problems(self) -> list[str]:
        """What could not be read or was not there, a clause each."""
        found = []
        if self.damaged:
            found.append(f"{self.damaged} depth images of {self.topic} could not be read ({self.problem})")
        if self.missing:
            found.append(f"{self.missing} frames have no depth image on {self.topic} near their stamps")
        return found

    def _compared(self, reader: BagReader, image: str | None) -> str:
        """How the camera_info beside the depth images differs from the one beside the colour images; mostly empty."""
        topics = [_beside(self.topic), _beside(choose_image_topic(reader, image).name)]
        if topics[0] == topics[1] or not {topics[0], topics[1]} <= {topic.name for topic in reader.topics}:
            return ""
        return view_difference(*(_first_message(reader, topic) for topic in topics))

    def _read(self, reader: BagReader) -> Iterator[tuple[int, FloatArray]]:
        for record in reader.records(self.topic):
            try:
                message = typestore().deserialize_cdr(record.data, record.type)
                self.frame_id = message.header.frame_id
                yield stamp_of(message.header) or record.time, depth_of_message(message)
            except Exception as error:  # damaged bytes: any error, from a wrong length to a wrong string
                self.damaged += 1
                self.problem = self.problem or str(error)


def _depth_topic(reader: BagReader, wanted: str) -> BagTopic:
    """The topic of depth images: the one of that name, or the only one with 'depth' in its name."""
    images = [topic for topic in reader.topics if topic.type in (IMAGE_TYPE, COMPRESSED_TYPE)]
    found = [topic for topic in images if topic.name == wanted or (wanted == AUTO and "depth" in topic.name.lower())]
    if len(found) == 1:
        return found[0]
    listed = ", ".join(f"{topic.name} ({topic.type})" for topic in reader.topics) or "none"
    if wanted != AUTO or not found:
        missing = "no topic with 'depth' in its name" if wanted == AUTO else f"no image topic {wanted}"
        raise UsageError(f"{reader.path} has {missing}; its topics are: {listed}")
    raise UsageError(
        f"{reader.path} has several depth topics; choose one with --depth: {', '.join(topic.name for topic in found)}"
    )


def _info_topic(reader: BagReader, wanted: str, depth: str) -> str:
    """The topic of the camera_info: the one of that name, the one beside the depth images, or the only one."""
    infos = [topic.name for topic in reader.topics if topic.type == INFO_TYPE]
    if wanted != AUTO:
        if wanted not in infos:
            raise UsageError(f"{reader.path} has no camera_info {wanted}; it has: {', '.join(infos) or 'none'}")
        return wanted
    beside = _beside(depth)
    if beside in infos:
        return beside
    if len(infos) != 1:
        raise UsageError(
            f"{reader.path} has {len(infos)} camera_info topics and none beside {depth}; "
            f"choose one with --camera-info: {', '.join(infos) or 'without one, depth cannot be used'}"
        )
    return infos[0]


def _beside(image: str) -> str:
    """The camera_info of an image topic, as image_transport has it."""
    raw = image.rpartition("/")[0] if image.lower().endswith("compresseddepth") else image
    return raw.rpartition("/")[0] + "/camera_info"


def _first_message(reader: BagReader, topic: str) -> Any:
    for record in reader.records(topic):
        try:
            return typestore().deserialize_cdr(record.data, record.type)
        except Exception as error:
            raise InputError(f"camera_info on {topic} of {reader.path} does not deserialize: {error}") from error
    raise InputError(f"{topic} of {reader.path} has no messages")
