# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The poses' JSON while it is being written: whole after every frame, whatever ends the process or fills the disk."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from sdtc_ros.ground_truth import posetrack_write
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.ground_truth.posetrack_write import PoseTrackWriter
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Frame, FramePoses, Pose


def answer(number: int, people: int, track_id: int = 3) -> FramePoses:
    keypoints = np.full((len(POSETRACK), 3), number + 0.5, np.float32)
    pose = Pose(track_id, np.array([1, 2, 30, 40], np.float32), 0.5, keypoints, np.zeros_like(keypoints), 0.5)
    return FramePoses(Frame(np.zeros((4, 4, 3), np.uint8), 10**9 * number), [pose] * people)


def write(stream: PoseTrackWriter, number: int, people: int = 2) -> None:
    stream.write(answer(number, people), number, 100 + number, f"{number:06d}.jpg")


@pytest.mark.parametrize("frames", [None, 1, 7, 10**9])
def test_the_file_is_whole_after_every_frame_and_has_no_spaces_at_the_end(tmp_path, frames, monkeypatch):
    monkeypatch.setattr(posetrack_write, "_MOST", 1000)
    path = tmp_path / "x.json"
    stream = PoseTrackWriter(path, POSETRACK, frames)
    assert json.loads(path.read_text())["images"] == []
    for number in range(70):
        write(stream, number, number % 3)
        people = json.loads(path.read_text())["annotations"]
        assert len(people) == sum(n % 3 for n in range(number + 1))
    assert [len(frame.people) for frame in read_sequence(path).frames] == [n % 3 for n in range(70)]
    stream.close()
    stream.close()
    assert [image["number"] for image in json.loads(path.read_text())["images"]] == list(range(70))
    assert "  " not in path.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]


@pytest.mark.slow
def test_a_killed_process_leaves_the_frames_that_it_had_written(tmp_path):
    program = """
import os, sys, signal
from pathlib import Path
from sdtc_ros.ground_truth.posetrack_write import PoseTrackWriter
from sdtc_ros.skeleton import POSETRACK
from tests.ground_truth.test_posetrack_writer import write
stream = PoseTrackWriter(Path(sys.argv[1]), POSETRACK)
for number in range(9):
    write(stream, number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "x.json"], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [len(frame.people) for frame in read_sequence(tmp_path / "x.json").frames] == [2] * 9


@pytest.mark.parametrize("room", [0, 100, 1000, 5000, 40_000])
def test_a_full_disk_costs_the_frame_that_does_not_fit(tmp_path, monkeypatch, room):
    path = tmp_path / "x.json"
    stream = PoseTrackWriter(path, POSETRACK)

    def append(file, data: bytes) -> None:
        nonlocal room
        room -= len(data)
        if room < 0:
            file.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(data)

    monkeypatch.setattr(posetrack_write, "_append", append)
    written = 0
    with suppress(OSError):
        while True:
            write(stream, written)
            written += 1
    assert room < 0
    assert len(json.loads(path.read_text())["images"]) == written
    stream.close()
    assert len(json.loads(path.read_text())["annotations"]) == 2 * written
    assert [one.name for one in tmp_path.iterdir()] == ["x.json"]


def test_track_ids_that_poseval_refuses_are_renumbered(tmp_path):
    """As a whole sequence's are; those that it takes stay, whatever came before."""
    path = tmp_path / "x.json"
    with PoseTrackWriter(path, POSETRACK) as stream:
        for number, track_id in enumerate((0, 10_000, 2, 12_345, 10_000, 9_999, 2)):
            stream.write(answer(number, 1, track_id), number, number, f"{number:06d}.jpg")
    written = [one["track_id"] for one in json.loads(path.read_text())["annotations"]]
    assert written == [0, 1, 2, 3, 1, 9_999, 2]
