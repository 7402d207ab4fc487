# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""rosbag2 in and out (MCAP or SQLite) without a ROS installation; only this file and `typestore` import a bag library.

Reading yields the frames of one image topic under their header stamps, and of a damaged bag what is left of it.
Writing gives a bag of metadata version 8 (Humble to Jazzy play it) and closes it whatever happens.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.images import UnknownEncodingError, compressed_to_bgr, image_to_bgr
from sdtc_ros.io.recover import Record, salvage
from sdtc_ros.io.typestore import typestore
from sdtc_ros.messages.poses import (
    POSES_TOPIC,
    POSES_TYPE,
    MessageTypes,
    PoseArrays,
    message_types,
    poses_from_message,
    stamp_of,
    to_detections,
    to_header,
)
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import Frame, FramePoses

IMAGE_TYPE = "sensor_msgs/msg/Image"
COMPRESSED_TYPE = "sensor_msgs/msg/CompressedImage"
STORAGE_SUFFIXES = (".mcap", ".db3")
ANNOTATED_TOPIC = "/sdtc/image_annotated/compressed"


@dataclass(frozen=True, order=True)
class BagTopic:
    """A topic of a bag: its name, its message type, how many messages it has."""

    name: str
    type: str
    count: int


def bag_message_types() -> MessageTypes:
    """The classes that pose messages in bags are made of."""
    return message_types(lambda name: typestore().types[name])


def storage_files(path: Path) -> list[Path]:
    """The storage files of a bag (a folder, or one such file itself), in recording order; none: it is no bag."""
    if path.is_dir():
        found = [file for file in path.iterdir() if file.suffix in STORAGE_SUFFIXES]
        return sorted(found, key=lambda file: (len(file.name), file.name))  # bag_10 comes after bag_9
    return [path] if path.suffix in STORAGE_SUFFIXES else []


def is_bag(path: Path) -> bool:
    """Whether it looks like a rosbag2: a storage file, or a folder with one or with its metadata.yaml."""
    return (path / "metadata.yaml").is_file() or bool(storage_files(path))


class BagReader:
    """A rosbag2 folder or storage file: its topics, its messages, and in `problems` what of it could not be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []
        self.damage = ""  # why the bag library refuses it, where it does
        self.seconds = 0.0
        self.topics = self._read_topics()

    def _read_topics(self) -> list[BagTopic]:
        from rosbags.rosbag2 import Reader

        try:
            with Reader(self.path) as reader:
                self.seconds = reader.duration / 1e9
                return sorted(BagTopic(name, info.msgtype or "", info.msgcount) for name, info in reader.topics.items())
        except PermissionError as error:
            raise InputError(f"{self.path} may not be read: {error.strerror}") from error
        except Exception as error:  # whatever the library trips over in a damaged file, the records may be whole
            self.damage = str(error)
        counts: dict[tuple[str, str], int] = {}
        times = [2**63, 0]
        for record in self._salvaged([]):
            counts[record.topic, record.type] = counts.get((record.topic, record.type), 0) + 1
            times = [min(times[0], record.time), max(times[1], record.time)]
        self.seconds = max(0, times[1] - times[0]) / 1e9
        return sorted(BagTopic(name, kind, count) for (name, kind), count in counts.items())

    def _salvaged(self, problems: list[str]) -> Iterator[Record]:
        files = storage_files(self.path)
        if not files:
            raise InputError(f"{self.path} is no rosbag2 that can be read: {self.damage}")
        for file in files:
            yield from salvage(file, problems)

    def records(self, topic: str) -> Iterator[Record]:
        """The messages of one topic in order of recording; past damage, those that can still be found."""
        last = -1
        if not self.damage:
            from rosbags.rosbag2 import Reader

            try:
                with Reader(self.path) as reader:
                    connections = [c for c in reader.connections if c.topic == topic]
                    for connection, time, data in reader.messages(connections):
                        last = time
                        yield Record(topic, connection.msgtype, time, data)
                return
            except Exception as error:  # damage in the middle surfaces as any kind of error, see above
                self.damage = str(error)
        for record in self._salvaged(self.problems):
            if record.topic == topic and record.time > last:
                yield record


def choose_image_topic(reader: BagReader, wanted: str | None) -> BagTopic:
    """The topic to read: the wanted one, or the bag's only image topic.

    Raises UsageError where a choice is needed or `wanted` is no image topic, InputError where the bag has none.
    """
    images = [topic for topic in reader.topics if topic.type in (IMAGE_TYPE, COMPRESSED_TYPE)]
    listed = ", ".join(f"{topic.name} ({topic.type}, {topic.count} messages)" for topic in reader.topics)
    if not images:
        raise InputError(f"{reader.path} has no image topic; its topics are: {listed or 'none at all'}")
    if wanted is not None:
        chosen = [topic for topic in images if topic.name == wanted]
        if not chosen:
            raise UsageError(f"{reader.path} has no image topic {wanted}; its topics are: {listed}")
        return chosen[0]
    if len(images) > 1:
        names = ", ".join(topic.name for topic in images)
        raise UsageError(f"{reader.path} has several image topics, choose one with --topic: {names}")
    return images[0]


def decode_image(record: Record) -> Frame:
    """The frame of an Image or CompressedImage message; raises InputError where it is damaged or unknown.

    Its stamp is the header's, or the time of recording where the driver left the header's at zero.
    """
    try:
        message = typestore().deserialize_cdr(record.data, record.type)
    except Exception as error:  # damaged bytes: any error, from a wrong length to a wrong string
        raise InputError(f"message of {record.topic} does not deserialize: {error}") from error
    if record.type == COMPRESSED_TYPE:
        image = compressed_to_bgr(message.data, message.format)
    else:
        image = image_to_bgr(
            message.data, message.height, message.width, message.encoding, message.step, message.is_bigendian
        )
    return Frame(image, stamp_of(message.header) or record.time, message.header.frame_id)


class BagWriter:
    """A new bag at `path` for poses and images; use it in a `with`, it is closed and readable however that ends."""

    def __init__(self, path: Path, storage: str = "mcap", about: Mapping[str, str] | None = None) -> None:
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

        if path.exists():
            raise UsageError(f"{path} exists already; choose another place or remove it")
        self.path = path
        self._types = bag_message_types()
        self._connections: dict[str, Any] = {}
        self._writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
        if storage == "mcap":  # inside the file, which every player reads: a pose's covariances are mostly zeros
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        for key, value in (about or {}).items():
            self._writer.set_custom_data(key, value)
        self._writer.open()
        self._open = True

    def write(self, topic: str, type_name: str, stamp: int, message: Any) -> None:
        """Write one message of the bag library's types, recorded at `stamp` (nanoseconds)."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, type_name, typestore=typestore())
        data = typestore().serialize_cdr(message, type_name)
        self._writer.write(self._connections[topic], stamp, data)

    def write_poses(self, frame_poses: FramePoses, skeleton: Skeleton) -> None:
        """Write a keyframe's poses on /sdtc/poses, also where there is nobody in it."""
        message = to_detections(frame_poses, skeleton, self._types)
        self.write(POSES_TOPIC, POSES_TYPE, frame_poses.frame.stamp, message)

    def write_image(self, topic: str, frame: Frame, encoding: str = "jpeg", quality: int = 95) -> None:
        """Write a frame: encoding 'bgr8' as a raw Image, 'jpeg' or 'png' as a CompressedImage."""
        header = to_header(frame.stamp, frame.frame_id, self._types)
        store = typestore().types
        if encoding == "bgr8":
            height, width = frame.image.shape[:2]
            message = store[IMAGE_TYPE](
                header=header, height=height, width=width, encoding=encoding, is_bigendian=0, step=3 * width,
                data=np.ascontiguousarray(frame.image).reshape(-1),
            )  # fmt: skip
            self.write(topic, IMAGE_TYPE, frame.stamp, message)
            return
        options = [cv2.IMWRITE_JPEG_QUALITY, quality] if encoding == "jpeg" else []
        done, data = cv2.imencode({"jpeg": ".jpg", "png": ".png"}[encoding], frame.image, options)
        if not done:
            raise InputError(f"frame at {frame.stamp} ns could not be encoded as {encoding}")
        message = store[COMPRESSED_TYPE](header=header, format=f"bgr8; {encoding} compressed bgr8", data=data)
        self.write(topic, COMPRESSED_TYPE, frame.stamp, message)

    def close(self) -> None:
        """Write index and metadata; a second call does nothing."""
        if self._open:
            self._open = False
            self._writer.close()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_images(reader: BagReader, topic: BagTopic) -> Iterator[Frame | None]:
    """The frames of an image topic in order, None for each that is damaged.

    Raises UnknownEncodingError where the topic's first frame is of an encoding that is not known.
    """
    read_one = False
    for record in reader.records(topic.name):
        try:
            frame = decode_image(record)
        except UnknownEncodingError as error:
            if not read_one:
                raise UnknownEncodingError(f"topic {topic.name} of {reader.path}: {error}") from error
            yield None
        except InputError:
            yield None
        else:
            read_one = True
            yield frame


def read_poses(path: Path | str, topic: str = POSES_TOPIC) -> Iterator[PoseArrays]:
    """The pose messages of a bag (see BagReader) as arrays, in order of recording.

    Raises UsageError where the bag has no such topic, InputError for a bag that cannot be read, or a message on that
    topic that is none of ours.
    """
    reader = BagReader(Path(path))
    if (topic, POSES_TYPE) not in [(known.name, known.type) for known in reader.topics]:
        listed = ", ".join(f"{known.name} ({known.type})" for known in reader.topics)
        raise UsageError(f"{path} has no poses ({POSES_TYPE}) on {topic}; its topics are: {listed or 'none at all'}")
    for record in reader.records(topic):
        yield poses_from_message(typestore().deserialize_cdr(record.data, POSES_TYPE))
