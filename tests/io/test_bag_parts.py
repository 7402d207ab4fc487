# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Bags whose files and metadata do not agree: what is there is read under its own number, every loss said."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
from split_bags import EACH, TOPIC, YAML_FILE, load_metadata, save_metadata, stamp, write_split

from sdtc_ros.errors import InputError
from sdtc_ros.io.bag import is_bag
from sdtc_ros.io.sources import Source, open_source

STORAGES = pytest.mark.parametrize("storage", ["mcap", "sqlite3"])


def read(path: Path) -> tuple[list[int], Source]:
    """The numbers of the frames that were read; every one must hold its own image and stamp."""
    source = open_source(path, topic=TOPIC)
    numbers = []
    for number, frame in source.frames:
        assert int(frame.image[0, 0, 0]) == number
        assert frame.stamp == stamp(number)
        numbers.append(number)
    return numbers, source


def part(folder: Path, number: int) -> Path:
    return next(file for file in folder.iterdir() if file.name.startswith(f"rec_{number}."))


@pytest.mark.parametrize("packed", ["", "file", "message"])
@STORAGES
def test_a_whole_bag_in_parts(tmp_path, storage, packed):
    if storage == "mcap" and packed == "message":
        packed = ""  # the bag library writes no such file
    numbers, source = read(write_split(tmp_path / "bag", storage, packed=packed))
    assert numbers == list(range(3 * EACH))
    assert source.problems == []
    assert source.fps == pytest.approx(25)


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("gone", [[0], [1], [2], [0, 1], [0, 2], [1, 3]])
@STORAGES
def test_missing_parts_shift_nothing(tmp_path, storage, gone, others):
    folder = write_split(tmp_path / "bag", storage, parts=4, others=others)
    for number in gone:
        part(folder, number).unlink()
    kept = [n for n in range(4 * EACH) if n // EACH not in gone]
    known = not others or gone in ([0], [1], [2], [0, 1])
    if not known:  # with another topic's messages among them, nobody knows how long each of two gaps is
        source = open_source(folder, topic=TOPIC)
        by_stamp = {frame.stamp: number for number, frame in source.frames}
        wrong = [n for n in kept if by_stamp[stamp(n)] != n and by_stamp[stamp(n)] < 10**6]
        assert wrong == []
    else:
        numbers, source = read(folder)
        assert numbers == kept
    assert source.fps == pytest.approx(25)
    said = "; ".join(source.problems)
    assert all(part_name in said for part_name in (f"rec_{n}." for n in gone))
    assert f"announces 16 messages of {TOPIC}, but {len(kept)} could be read" in said


@STORAGES
def test_parts_that_metadata_does_not_list_are_read_and_said(tmp_path, storage):
    folder = write_split(tmp_path / "bag", storage)
    about = load_metadata(folder)
    about["relative_file_paths"] = about["relative_file_paths"][:2]
    about["topics_with_message_count"][0]["message_count"] = about["message_count"] = 2 * EACH
    save_metadata(folder, about)
    numbers, source = read(folder)
    assert numbers == list(range(12))
    assert "not listed in metadata.yaml" in source.problems[0]
    assert "announces 8 messages of /camera, but 12 could be read" in source.problems[1]


@STORAGES
def test_metadata_that_counts_nothing(tmp_path, storage):
    folder = write_split(tmp_path / "bag", storage)
    about = load_metadata(folder)
    about["topics_with_message_count"][0]["message_count"] = about["message_count"] = 0
    save_metadata(folder, about)
    numbers, source = read(folder)
    assert numbers == list(range(12))
    assert source.problems == ["metadata.yaml announces 0 messages of /camera, but 12 could be read"]


@STORAGES
def test_quality_of_service_decides_nothing(tmp_path, storage):
    folder = write_split(tmp_path / "bag", storage)
    about = load_metadata(folder)
    for profiles in ("- history: 3\n  depth: 0\n  reliability: 1\n  durability: 2", "!! no yaml ::", [{"depth": "x"}]):
        about["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"] = profiles
        save_metadata(folder, about)
        numbers, source = read(folder)
        assert numbers == list(range(12))
        assert source.problems == []


@pytest.mark.parametrize("content", ["", "no: [yaml", "a: 1", "rosbag2_bagfile_information: 3", b"\xff\xfe\x00"])
def test_damaged_metadata_costs_nothing_and_is_said(tmp_path, content):
    folder = write_split(tmp_path / "bag")
    (folder / YAML_FILE).write_bytes(content if isinstance(content, bytes) else content.encode())
    numbers, source = read(folder)
    assert numbers == list(range(12))
    assert source.problems == ["metadata.yaml is damaged; the files beside it were read without it"]


@pytest.mark.parametrize("packed", ["", "file", "message"])
def test_without_metadata(tmp_path, packed):
    folder = write_split(tmp_path / "bag", "sqlite3", packed=packed)
    (folder / YAML_FILE).unlink()
    assert read(folder)[0] == list(range(12))
    part(folder, 1).unlink()
    source = open_source(folder)
    numbers = [number for number, _ in source.frames]
    assert numbers[:4] == [0, 1, 2, 3]
    assert numbers[4] >= 10**6  # how long the gap is, nobody knows
    assert "that the others' numbers tell of is missing" in source.problems[0]


@STORAGES
def test_a_part_that_is_packed_and_cut_short(tmp_path, storage):
    folder = write_split(tmp_path / "bag", storage, packed="file")
    file = part(folder, 1)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    numbers, source = read(folder)
    assert numbers[:4] == [0, 1, 2, 3]
    assert numbers[-4:] == [8, 9, 10, 11]
    said = "; ".join(source.problems)
    assert "could be unpacked in part only" in said
    assert f"announces 12 messages of /camera, but {len(numbers)} could be read" in said


@STORAGES
def test_a_packed_part_alone_is_a_bag(tmp_path, storage):
    file = part(write_split(tmp_path / "bag", storage, packed="file"), 1)
    assert is_bag(file)
    assert [frame.stamp for _, frame in open_source(file).frames] == [stamp(n) for n in range(4, 8)]


def test_packed_messages_that_are_damaged_are_left_out(tmp_path):
    folder = write_split(tmp_path / "bag", "sqlite3", packed="message")
    with sqlite3.connect(part(folder, 1)) as database:
        database.execute("UPDATE messages SET data = substr(data, 1, 40) WHERE id = 2")
    database.close()
    numbers, source = read(folder)
    assert numbers == [n for n in range(12) if n != 5]
    assert "1 of 12 frames is damaged and was left out (number 5)" in source.problems


def test_a_path_that_is_no_address(tmp_path):
    assert read(write_split(tmp_path / "run#3 100%?", "sqlite3", packed="message"))[0] == list(range(12))


def test_a_write_ahead_log_is_read_as_sqlite_does(tmp_path):
    folder = write_split(tmp_path / "bag", "sqlite3", parts=2)
    with sqlite3.connect(part(folder, 1)) as source, sqlite3.connect(part(folder, 0)) as database:
        rows = source.execute("SELECT topic_id, timestamp, data FROM messages").fetchall()
        database.execute("PRAGMA journal_mode=WAL")
        database.executemany("INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)", rows)
        database.commit()
        killed = tmp_path / "killed"
        killed.mkdir()
        for file in folder.glob("rec_0.db3*"):  # as it lies there when its recorder is killed
            shutil.copy(file, killed)
    source.close()
    database.close()
    assert sorted(file.name for file in killed.iterdir()) == ["rec_0.db3", "rec_0.db3-shm", "rec_0.db3-wal"]
    before = {file.name: file.read_bytes() for file in killed.iterdir()}
    assert read(killed)[0] == list(range(8))
    assert {file.name: file.read_bytes() for file in killed.iterdir()} == before


def test_what_a_damaged_chunk_held_is_known_from_its_index(tmp_path):
    folder = write_split(tmp_path / "bag", parts=1)
    file = part(folder, 0)
    data = bytearray(file.read_bytes())
    at = data.index(b"bgr8", data.index(b"bgr8") + 4)  # the second message: its length and the next ones' are gone
    data[at - 90 : at - 60] = b"\xff" * 30
    file.write_bytes(data)
    source = open_source(folder)
    frames = {number: frame.stamp for number, frame in source.frames}
    assert all(frames[number] == stamp(number) for number in frames)
    assert 0 in frames
    assert f"but {len(frames)} could be read" in "; ".join(source.problems)


def test_a_film_that_is_a_bag(tmp_path):
    file = part(write_split(tmp_path / "bag"), 0)
    renamed = file.rename(tmp_path / "recording.bin")
    assert [frame.stamp for _, frame in open_source(renamed).frames] == [stamp(n) for n in range(4)]


@pytest.mark.parametrize("profile", [True, False])
def test_ros_1_in_an_mcap_file_is_named(tmp_path, profile):
    def text(value: str) -> bytes:
        return len(value).to_bytes(4, "little") + value.encode()

    def record(op: int, content: bytes) -> bytes:
        return bytes([op]) + len(content).to_bytes(8, "little") + content

    schema = record(3, b"\1\0" + text("sensor_msgs/Image") + text("ros1msg") + text(""))
    channel = record(4, b"\1\0\1\0" + text("/cam") + text("ros1") + text(""))
    message = record(5, b"\1\0" + bytes(20) + b"abc")
    head = record(1, text("ros1" if profile else "") + text("test"))
    (tmp_path / "old.mcap").write_bytes(b"\x89MCAP0\r\n" + head + schema + channel + message)
    with pytest.raises(InputError, match="is an MCAP file of ROS 1 messages; convert .* rosbags-convert --src"):
        open_source(tmp_path / "old.mcap")


def test_a_ros_1_bag_by_another_name(tmp_path):
    (tmp_path / "recording").write_bytes(b"#ROSBAG V2.0\n" + bytes(100))
    with pytest.raises(InputError, match="is a ROS 1 bag; convert it first"):
        open_source(tmp_path / "recording")


def test_nothing_left(tmp_path):
    folder = write_split(tmp_path / "bag")
    for number in range(3):
        part(folder, number).unlink()
    with pytest.raises(InputError, match="not a readable rosbag2: 3 parts rec_0.mcap, rec_1.mcap, rec_2.mcap"):
        open_source(folder)
