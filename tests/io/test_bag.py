# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""rosbag2 in and out: stamps and pixels survive, topics are chosen, damage is survived and said."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.io.bag import (
    BagReader,
    BagWriter,
    bag_message_types,
    choose_image_topic,
    is_bag,
    read_images,
)
from sdtc_ros.messages.encodings import UnknownEncodingError
from sdtc_ros.messages.poses import POSES_TOPIC, POSES_TYPE, poses_from_message, to_header
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses

START = 1_763_700_000_000_000_001
STAMPS = [START + i * 33_366_700 for i in range(12)]


def frames(count: int = 12, size: tuple[int, int] = (48, 64)) -> list[Frame]:
    rng = np.random.default_rng(5)
    images = rng.integers(0, 255, (count, *size, 3), np.uint8)
    return [Frame(image, stamp, "camera_optical") for image, stamp in zip(images, STAMPS, strict=False)]


def write_bag(path: Path, storage: str = "mcap", encoding: str = "bgr8", topics: tuple[str, ...] = ("/image",)) -> Path:
    with BagWriter(path, storage) as bag:
        for frame in frames():
            for topic in topics:
                bag.write_image(topic, frame, encoding)
    return path


def read_all(path: Path, topic: str | None = None) -> tuple[list[Frame], BagReader]:
    frames, reader = read_each(path, topic)
    return [frame for frame in frames if isinstance(frame, Frame)], reader


def read_each(path: Path, topic: str | None = None) -> tuple[list[Frame | InputError], BagReader]:
    reader = BagReader(path)
    return [frame for _, frame in read_images(reader, choose_image_topic(reader, topic))], reader


@pytest.mark.parametrize("encoding", ["bgr8", "png", "jpeg"])
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_image_bag_round_trip(tmp_path, storage, encoding):
    got, reader = read_all(write_bag(tmp_path / "bag", storage, encoding))
    assert not reader.problems
    assert reader.topics[0].count == 12
    assert reader.seconds == pytest.approx(11 * 0.0333667, abs=1e-6)
    for frame, given in zip(got, frames(), strict=True):
        assert (frame.stamp, frame.frame_id) == (given.stamp, "camera_optical")
        assert encoding == "jpeg" or np.array_equal(frame.image, given.image)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_storage_file_alone_is_a_bag(tmp_path, storage):
    folder = write_bag(tmp_path / "bag", storage)
    file = next(file for file in folder.iterdir() if file.name != "metadata.yaml")
    assert is_bag(file)
    assert [frame.stamp for frame in read_all(file)[0]] == STAMPS


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_without_its_metadata_loses_nothing(tmp_path, storage):
    folder = write_bag(tmp_path / "bag", storage)
    (folder / "metadata.yaml").unlink()
    got, reader = read_all(folder)
    assert [frame.stamp for frame in got] == STAMPS
    assert not reader.problems


def test_header_stamp_wins_over_time_of_recording_unless_it_is_zero(tmp_path):
    types, store = bag_message_types(), typestore().types
    with BagWriter(tmp_path / "bag") as bag:
        for recorded, stamp in ((1000, 5), (2000, 0)):
            image = store["sensor_msgs/msg/Image"](
                header=to_header(stamp, "", types), height=1, width=1, encoding="mono8", is_bigendian=0, step=1,
                data=np.zeros(1, np.uint8),
            )  # fmt: skip
            bag.write("/image", "sensor_msgs/msg/Image", recorded, image)
    assert [frame.stamp for frame in read_all(tmp_path / "bag")[0]] == [5, 2000]


def test_choice_of_topic(tmp_path):
    reader = BagReader(write_bag(tmp_path / "bag", topics=("/left", "/right")))
    assert choose_image_topic(reader, "/right").name == "/right"
    with pytest.raises(UsageError, match="several image topics; choose one with --topic: /left, /right"):
        choose_image_topic(reader, None)
    with pytest.raises(UsageError, match=r"no image topic /up; its topics are: /left \(sensor_msgs/msg/Image, 12 mess"):
        choose_image_topic(reader, "/up")


def poses_bag(path: Path) -> Path:
    with BagWriter(path) as bag:
        for frame in frames(4):
            bag.write_poses(FramePoses(frame, []), POSETRACK)
    return path


def test_a_bag_without_images_lists_its_topics(tmp_path):
    with pytest.raises(InputError, match=rf"no image topic; its topics are: {POSES_TOPIC} \({POSES_TYPE}, 4 messages"):
        choose_image_topic(BagReader(poses_bag(tmp_path / "bag")), None)


def test_written_poses_are_read_by_the_bag_library_alone(tmp_path):
    from rosbags.highlevel import AnyReader

    with AnyReader([poses_bag(tmp_path / "bag")]) as reader:  # with the definitions the bag itself carries
        read = [(time, reader.deserialize(data, c.msgtype)) for c, time, data in reader.messages()]
    assert [time for time, _ in read] == STAMPS[:4]
    assert [poses_from_message(message).stamp for _, message in read] == STAMPS[:4]


def test_metadata_is_what_humble_to_jazzy_read(tmp_path):
    text = (poses_bag(tmp_path / "bag") / "metadata.yaml").read_text()
    assert "version: 8" in text
    assert "storage_identifier: mcap" in text
    assert "offered_qos_profiles: ''" in text


def test_a_failure_while_writing_leaves_a_readable_bag(tmp_path):
    def fail(path: Path) -> None:
        with BagWriter(path) as bag:
            bag.write_image("/image", frames(1)[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail(tmp_path / "bag")
    assert len(read_all(tmp_path / "bag")[0]) == 1


def test_an_existing_bag_is_not_overwritten(tmp_path):
    with pytest.raises(UsageError, match="already exists"):
        BagWriter(poses_bag(tmp_path / "bag"))


def cut(folder: Path, share: float) -> Path:
    file = next(file for file in folder.iterdir() if file.name != "metadata.yaml")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    return folder


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_truncated_bag_gives_what_it_still_holds(tmp_path, storage):
    got, reader = read_all(cut(write_bag(tmp_path / "bag", storage), 0.6))
    assert 5 <= len(got) <= 8
    assert [frame.stamp for frame in got] == STAMPS[: len(got)]
    assert "cut short" in reader.problems[0]
    assert reader.problems[1:] == [f"metadata.yaml announces 12 messages of /image, but {len(got)} could be read"]


@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
def test_salvage_of_compressed_chunks(tmp_path, compression):
    file = tmp_path / "bag.mcap"
    file.write_bytes(mcap_of(frames(), compression)[:-700])
    got, reader = read_all(file)
    assert 10 <= len(got) < 12 or (compression != "none" and got)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(got, frames(), strict=False))
    assert reader.problems == ["bag.mcap is cut short, it has no end"]


def mcap_of(given: list[Frame], compression: str) -> bytes:
    """An MCAP file whose one chunk is compressed, with no index, written by hand from the format's specification."""

    def text(value: str) -> bytes:
        return len(value).to_bytes(4, "little") + value.encode()

    def record(op: int, content: bytes) -> bytes:
        return bytes([op]) + len(content).to_bytes(8, "little") + content

    types, store = bag_message_types(), typestore()
    kind = "sensor_msgs/msg/Image"
    inner = record(3, b"\1\0" + text(kind) + text("ros2msg") + text(""))
    inner += record(4, b"\1\0\1\0" + text("/image") + text("cdr") + text(""))
    for frame in given:
        height, width = frame.image.shape[:2]
        message = store.types[kind](
            header=to_header(frame.stamp, frame.frame_id, types), height=height, width=width, encoding="bgr8",
            is_bigendian=0, step=3 * width, data=frame.image.reshape(-1),
        )  # fmt: skip
        times = frame.stamp.to_bytes(8, "little") * 2
        inner += record(5, b"\1\0" + bytes(4) + times + bytes(store.serialize_cdr(message, kind)))
    packed, name = inner, ""
    if compression == "zstd":
        zstd = pytest.importorskip("backports.zstd")
        packed, name = zstd.compress(inner), "zstd"
    elif compression == "lz4":
        import lz4.frame

        packed, name = lz4.frame.compress(inner, block_size=lz4.frame.BLOCKSIZE_MAX64KB), "lz4"
    chunk = bytes(16) + len(inner).to_bytes(8, "little") + bytes(4) + text(name)
    chunk += len(packed).to_bytes(8, "little") + packed
    return b"\x89MCAP0\r\n" + record(1, text("ros2") + text("test")) + record(6, chunk)


def test_damage_in_the_middle_costs_only_its_own_messages(tmp_path):
    with BagWriter(tmp_path / "bag") as bag:
        for frame in frames(12, (400, 400)):  # half a megabyte each: several chunks
            bag.write_image("/image", frame, "bgr8")
    file = tmp_path / "bag" / "bag.mcap"
    data = bytearray(file.read_bytes())
    middle = data.index(b"bgr8", len(data) // 2) - 60
    data[middle : middle + 200] = b"\xff" * 200
    file.write_bytes(data)
    got, _ = read_all(tmp_path / "bag")
    assert 10 <= len(got) < 12


def test_an_unknown_encoding_is_named(tmp_path):
    types, store = bag_message_types(), typestore().types
    with BagWriter(tmp_path / "bag") as bag:
        image = store["sensor_msgs/msg/Image"](
            header=to_header(1, "", types), height=1, width=1, encoding="32FC1", is_bigendian=0, step=4,
            data=np.zeros(4, np.uint8),
        )  # fmt: skip
        bag.write("/depth", "sensor_msgs/msg/Image", 1, image)
    with pytest.raises(UnknownEncodingError, match="topic /depth of .* image encoding '32FC1' holds plain numbers"):
        read_all(tmp_path / "bag")


def test_a_damaged_frame_among_good_ones_says_why(tmp_path):
    types, store = bag_message_types(), typestore().types
    with BagWriter(tmp_path / "bag") as bag:
        for i, frame in enumerate(frames(3)):
            if i == 1:
                bad = store["sensor_msgs/msg/CompressedImage"](
                    header=to_header(frame.stamp, "", types), format="jpeg", data=np.zeros(100, np.uint8)
                )
                bag.write("/image", "sensor_msgs/msg/CompressedImage", frame.stamp, bad)
            else:
                bag.write_image("/image", frame, "png")
    got, _ = read_each(tmp_path / "bag")
    assert [isinstance(frame, Frame) for frame in got] == [True, False, True]
    assert "of 100 bytes does not decode" in str(got[1])


@pytest.mark.parametrize("content", [b"", b"this is text and no bag at all"])
@pytest.mark.parametrize("name", ["bag.mcap", "bag.db3"])
def test_what_is_no_bag_is_said_to_be_none(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="is not a bag file"):
        BagReader(tmp_path / name)


def test_a_folder_with_metadata_only(tmp_path):
    shutil.copy(poses_bag(tmp_path / "bag") / "metadata.yaml", tmp_path)
    with pytest.raises(InputError, match="is not a readable rosbag2: part bag.mcap .* is missing"):
        BagReader(Path(tmp_path))
