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

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sdtc_ros.closing import Closing
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag_parts import find_parts, gap_lengths, read_metadata, storage_files
from sdtc_ros.io.part_files import Key, Scratch, part_records, unpacked
from sdtc_ros.io.recover import LOSS, Record
from sdtc_ros.lifting.poses3d import FramePoses3D
from sdtc_ros.messages.encodings import UnknownEncodingError, compressed_to_bgr, image_to_bgr
from sdtc_ros.messages.foxglove import ANNOTATIONS_TOPIC, ANNOTATIONS_TYPE, to_image_annotations
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
from sdtc_ros.messages.poses3d import POSES_3D_TOPIC, POSES_3D_TYPE, to_detections_3d
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import Skeleton
from sdtc_ros.types import Frame, FramePoses

IMAGE_TYPE = "sensor_msgs/msg/Image"
COMPRESSED_TYPE = "sensor_msgs/msg/CompressedImage"
_MILLION = 10**6
_FLUSH_EVERY = 64  # messages; by number, so that the same messages give the same file
ANNOTATED_TOPIC = "/sdtc/image_annotated/compressed"


@dataclass(frozen=True, order=True)
class BagTopic:
    """A topic of a bag: its name, its message type, how many messages it has."""

    name: str
    type: str
    count: int


def bag_message_types() -> MessageTypes:
    """The classes that pose messages in bags are made of."""
    return message_types(_bag_type)


def _bag_type(name: str) -> Any:
    return typestore().types[name]


def is_bag(path: Path) -> bool:
    """Whether it looks like a rosbag2: a storage file, or a folder with one or with its metadata.yaml."""
    return (path / "metadata.yaml").is_file() or bool(storage_files(path))


class BagReader:
    """A rosbag2 folder or storage file: its topics, its messages, and in `problems` what of it could not be read.

    seconds: between the first and the last message. Raises InputError for what is no bag, may not be read, holds no
    readable file, or holds ROS 1 messages.
    """

    def __init__(self, path: Path) -> None:
        """Find the bag's parts and count their messages."""
        self.path = path
        self.problems: list[str] = []
        self._scratch = Scratch()
        self._metadata = read_metadata(path, self.problems) if path.is_dir() else None
        self._parts = find_parts(path, self._metadata, self._scratch, self.problems)
        if not any(part.file for part in self._parts):
            said = "; ".join(self.problems) or "it has no storage files"
            raise InputError(f"{path} is not a readable rosbag2: {said}")
        counts = sum((part.counts for part in self._parts), Counter[Key]())
        self.topics = sorted(BagTopic(name, kind, count) for (name, kind), count in counts.items())
        spans = [part.span for part in self._parts if part.span]
        self.seconds = max(0, max(last for _, last in spans) - min(first for first, _ in spans)) / 1e9 if spans else 0.0

    def rate(self, topic: BagTopic) -> float | None:
        """Messages a second of a topic, over the parts that are there; None where that is not known."""
        key = topic.name, topic.type
        there = [(part.counts[key] - 1, part.span[1] - part.span[0]) for part in self._parts if part.span]
        steps = sum(max(0, count) for count, _ in there)
        time = sum(span for _, span in there)
        return steps / time * 1e9 if steps and time > 0 else None

    def records(self, topic: str, kind: str | None = None) -> Iterator[Record]:
        """The messages of one topic (of type `kind`, or of the topic's first type) in order of recording.

        Messages that are known to be lost come without data, at their place; LOSS stands where it is not known how
        many were. Once they are used up, a number other than the announced is among `problems`.
        """
        key = topic, kind or next((known.type for known in self.topics if known.name == topic), "")
        read, waiting = 0, list[Record]()
        for part, gaps in zip(self._parts, gap_lengths(self._parts, key, self._metadata), strict=True):
            lengths = iter(gaps)
            for record in part_records(part, key, self.problems):
                if record == LOSS:  # held back: what is lost at the end shifts nothing
                    count = next(lengths, None)
                    waiting += [LOSS] if count is None else [Record(*key, 0, None)] * count
                    continue
                record = unpacked(record)
                read += record.data is not None
                yield from waiting
                waiting.clear()
                yield record
        self._compare(key, read)

    def _compare(self, key: Key, read: int) -> None:
        """Note a difference between the messages that the bag announces and those that were read."""
        if self._metadata:
            announced, where = self._metadata.counts.get(key, 0), "metadata.yaml announces"
        else:
            announced, where = sum(part.counts[key] for part in self._parts), "its index lists"
        if read != announced:
            self.problems.append(f"{where} {announced} messages of {key[0]}, but {read} could be read")


def choose_image_topic(reader: BagReader, wanted: str | None) -> BagTopic:
    """The topic to read: the wanted one, or the bag's only image topic.

    Raises UsageError where a choice is needed or `wanted` is no image topic, InputError where the bag has none.
    """
    images = [topic for topic in reader.topics if topic.type in (IMAGE_TYPE, COMPRESSED_TYPE)]
    listed = ", ".join(f"{topic.name} ({topic.type}, {topic.count} messages)" for topic in reader.topics)
    if not images:
        raise InputError(f"{reader.path} has no image topic; its topics are: {listed or 'none'}")
    if wanted is not None:
        chosen = [topic for topic in images if topic.name == wanted]
        if not chosen:
            raise UsageError(f"{reader.path} has no image topic {wanted}; its topics are: {listed}")
        return chosen[0]
    if len(images) > 1:
        names = ", ".join(topic.name for topic in images)
        raise UsageError(f"{reader.path} has several image topics; choose one with --topic: {names}")
    return images[0]


def decode_image(record: Record) -> Frame:
    """The frame of an Image or CompressedImage message; raises InputError where it is damaged or unknown.

    Its stamp is the header's, or the time of recording where the driver left the header's at zero.
    """
    if record.data is None:
        raise InputError(f"a message of {record.topic} is lost")
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


class BagWriter(Closing):
    """A new bag at `path` for poses and images; use it in a `with`, it is closed and readable however that ends."""

    def __init__(self, path: Path, storage: str = "mcap", about: Mapping[str, str] | None = None) -> None:
        from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

        if path.exists():
            raise UsageError(f"{path} already exists; choose another folder or remove it")
        self.path = path
        self._types = bag_message_types()
        self._connections: dict[str, Any] = {}
        self._writer = Writer(path, version=8, storage_plugin=StoragePlugin[storage.upper()])
        if storage == "mcap":  # inside the file, which every player reads: a pose's covariances are mostly zeros
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        for key, value in (about or {}).items():
            self._writer.set_custom_data(key, value)
        self._writer.open()
        self._open, self._waiting = True, 0

    def write(self, topic: str, type_name: str, stamp: int, message: Any) -> None:
        """Write one message of the bag library's types, recorded at `stamp` (nanoseconds)."""
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(topic, type_name, typestore=typestore())
        data = typestore().serialize_cdr(message, type_name)
        self._writer.write(self._connections[topic], stamp, data)
        self._waiting += 1
        if self._waiting >= _FLUSH_EVERY:
            self._flush()

    def _flush(self) -> None:
        """Put what waits in memory on the disk, so that a process that is killed leaves what it had written."""
        self._waiting = 0
        storage: Any = self._writer.storage
        if hasattr(storage, "close_chunk"):  # MCAP: the library itself waits for a megabyte
            storage.close_chunk()
            storage.bio.flush()
        else:
            storage.conn.commit()

    def write_poses(self, frame_poses: FramePoses, skeleton: Skeleton) -> None:
        """Write a keyframe's poses on /sdtc/poses, also where there is nobody in it."""
        message = to_detections(frame_poses, skeleton, self._types)
        self.write(POSES_TOPIC, POSES_TYPE, frame_poses.frame.stamp, message)

    def write_poses_3d(self, lifted: FramePoses3D, skeleton: Skeleton) -> None:
        """Write a keyframe's joints in metres on /sdtc/poses_3d."""
        message = to_detections_3d(lifted, skeleton, _bag_type)
        self.write(POSES_3D_TOPIC, POSES_3D_TYPE, lifted.source.frame.stamp, message)

    def write_annotations(self, frame_poses: FramePoses, skeleton: Skeleton) -> None:
        """Write what Foxglove draws over a keyframe's image on /sdtc/image_annotations."""
        message = to_image_annotations(frame_poses, skeleton, _bag_type)
        self.write(ANNOTATIONS_TOPIC, ANNOTATIONS_TYPE, frame_poses.frame.stamp, message)

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


def read_images(reader: BagReader, topic: BagTopic) -> Iterator[tuple[int, Frame | InputError]]:
    """The frames of an image topic in order, each with its number in the recording; damaged or lost: why.

    Numbers count the messages that are known to be lost too; after a loss of unknown extent they go on from the next
    million, so that no frame is taken for another. Raises UnknownEncodingError where the topic's first frame is of an
    encoding that is not known.
    """
    number, read_one = 0, False
    for record in reader.records(topic.name, topic.type):
        if record == LOSS:
            number = (number // _MILLION + 1) * _MILLION
            continue
        try:
            yield number, decode_image(record)
            read_one = True
        except UnknownEncodingError as error:
            if not read_one:
                raise UnknownEncodingError(f"topic {topic.name} of {reader.path}: {error}") from error
            yield number, error
        except InputError as error:
            yield number, error
        number += 1


def read_poses(path: Path | str, topic: str = POSES_TOPIC) -> Iterator[PoseArrays]:
    """The pose messages of a bag (see BagReader) as arrays, in order of recording.

    Raises UsageError where the bag has no such topic, InputError for a bag that cannot be read, or a message on that
    topic that is none of ours.
    """
    reader = BagReader(Path(path))
    if (topic, POSES_TYPE) not in [(known.name, known.type) for known in reader.topics]:
        listed = ", ".join(f"{known.name} ({known.type})" for known in reader.topics)
        raise UsageError(f"{path} has no poses ({POSES_TYPE}) on {topic}; its topics are: {listed or 'none'}")
    for record in reader.records(topic, POSES_TYPE):
        if record.data is not None:
            yield poses_from_message(typestore().deserialize_cdr(record.data, POSES_TYPE))
