# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Replay through the command line's own main: every kind of input in, every output checked by reading it back."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_bundle import make_bundle

from sdtc_ros.__main__ import main
from sdtc_ros.ground_truth.posetrack import read_sequence
from sdtc_ros.ground_truth.posetrack_write import PoseTrackWriter, write_sequence
from sdtc_ros.ground_truth.sequence import Person, Sequence, SequenceFrame
from sdtc_ros.io.bag import ANNOTATED_TOPIC, COMPRESSED_TYPE, BagReader, BagWriter, bag_message_types, read_images
from sdtc_ros.messages.poses import POSES_TOPIC, POSES_TYPE, PoseArrays, poses_from_message, to_header
from sdtc_ros.messages.typestore import typestore
from sdtc_ros.skeleton import POSETRACK
from sdtc_ros.types import Boxes, Frame

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
STAMPS = [1_763_700_000_000_000_000 + i * 40_000_007 for i in range(12)]
BOX = [8.0, 6.0, 24.0, 40.0]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "fake").folder


@pytest.fixture
def boxes(tmp_path) -> Path:
    """One person in every frame, another one in every second."""
    rows = [{"frame": n, "bbox": BOX, "track_id": 5} for n in range(12)]
    rows += [{"frame": n, "bbox": [40, 6, 24, 40], "score": 0.5, "track_id": 9} for n in range(0, 12, 2)]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(rows))
    return path


def picture(number: int) -> np.ndarray:
    return np.full((64, 80, 3), 60 + 10 * number, np.uint8)


def run_replay(source: Path, out: Path, model: Path, *arguments: object) -> int:
    # one thread: ONNX Runtime's threads wait actively, which stalls a machine that is busy otherwise
    return main(["replay", *map(str, (source, "--out", out, "--model", model, "--threads", 1, *arguments))])


def make_bag(path: Path, storage: str = "mcap", encoding: str = "bgr8", topic: str = "/camera/image") -> Path:
    with BagWriter(path, storage) as bag:
        for number, stamp in enumerate(STAMPS):
            bag.write_image(topic, Frame(picture(number), stamp, "camera_optical"), encoding)
    return path


def make_folder(path: Path, count: int = 12) -> Path:
    path.mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(path / f"{number:06d}.png"), picture(number))
    return path


def poses_of(out: Path) -> list[tuple[int, PoseArrays]]:
    """(time of recording, poses) of every message in a replay's bag."""
    records = BagReader(out / "poses_bag").records(POSES_TOPIC)
    return [(r.time, poses_from_message(typestore().deserialize_cdr(r.data, POSES_TYPE))) for r in records]


@pytest.mark.parametrize(
    ("storage", "encoding"), [("mcap", "bgr8"), ("mcap", "jpeg"), ("sqlite3", "bgr8"), ("sqlite3", "png")]
)
def test_bag_in_is_bag_out(tmp_path, model, boxes, storage, encoding, capsys):
    bag = make_bag(tmp_path / "tour", storage, encoding)
    out = tmp_path / "out"
    status = run_replay(bag, out, model, "--boxes", boxes, "--bag-images")
    assert (status, capsys.readouterr().err) == (0, "")
    poses = poses_of(out)
    assert [time for time, _ in poses] == [arrays.stamp for _, arrays in poses] == STAMPS
    assert {arrays.frame_id for _, arrays in poses} == {"camera_optical"}
    assert [arrays.track_ids.tolist() for _, arrays in poses[:2]] == [[5, 9], [5]]
    assert poses[0][1].joints == POSETRACK.joints
    reader = BagReader(out / "poses_bag")
    annotated = next(topic for topic in reader.topics if topic.name == ANNOTATED_TOPIC)
    assert [frame.stamp for _, frame in read_images(reader, annotated)] == STAMPS


def test_json_bag_and_video_tell_the_same(tmp_path, model, boxes):
    out = tmp_path / "out"
    assert run_replay(make_bag(tmp_path / "tour"), out, model, "--boxes", boxes) == 0
    sequence = read_sequence(out / "posetrack" / "tour.json")
    assert [frame.name for frame in sequence.frames][:2] == ["tour/000000.jpg", "tour/000001.jpg"]
    for frame, (_, arrays) in zip(sequence.frames, poses_of(out), strict=True):
        assert [person.track_id for person in frame.people] == arrays.track_ids.tolist()
        for i, person in enumerate(frame.people):
            assert np.allclose(person.keypoints[:, :2], arrays.keypoints[i, :, :2], atol=6e-4)
            box_score = {5: 1.0, 9: 0.5}[person.track_id]  # evaluation's joint score is the joint's own x the box's
            assert np.allclose(person.joint_scores, box_score * arrays.keypoints[i, :, 2], atol=1e-6)
            assert np.allclose(person.box, arrays.boxes[i], atol=6e-4)
            assert person.score == pytest.approx(float(arrays.scores[i]), abs=1e-6)
    capture = cv2.VideoCapture(str(next(out.glob("annotated.*"))))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 12
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(25, abs=0.01)


def test_the_same_frames_give_the_same_poses_from_bag_and_folder(tmp_path, model, boxes):
    inputs = {"bag": make_bag(tmp_path / "bag_in"), "folder": make_folder(tmp_path / "folder_in")}
    answers = {}
    for kind, path in inputs.items():
        out = tmp_path / kind
        assert run_replay(path, out, model, "--boxes", boxes) == 0
        answers[kind] = poses_of(out)
    for (_, a), (_, b) in zip(answers["bag"], answers["folder"], strict=True):
        assert np.array_equal(a.keypoints, b.keypoints)
        assert np.array_equal(a.covariance, b.covariance)


def make_truth(path: Path, joints: dict[int, np.ndarray]) -> Path:
    """An annotation file in which person 5 is annotated in the frames of `joints`."""
    frames = []
    for number in range(12):
        frame = SequenceFrame(f"images/val/tour/{number:06d}.jpg", 7000 + number, number in joints)
        if number in joints:
            points = np.concatenate([joints[number], np.ones((15, 1))], axis=1)
            frame.people = [Person(points, 5, np.array(BOX), np.array([10.0, 8.0, 30.0, 30.0]))]
        frames.append(frame)
    write_sequence(Sequence("tour", frames), path)
    return path


def test_truth_gives_boxes_and_an_accuracy(tmp_path, model, capsys):
    bag, first = make_bag(tmp_path / "tour"), tmp_path / "first"
    centre = np.tile([[20.0, 26.0]], (15, 1))
    blank = make_truth(tmp_path / "blank.json", dict.fromkeys((0, 4, 8), centre))
    arguments = ["--detector", "truth", "--crop-drift-threshold", "0", "--truth"]
    assert run_replay(bag, first, model, *arguments, blank) == 0
    answered = {n: arrays.keypoints[0, :, :2] for n, (_, arrays) in enumerate(poses_of(first)) if len(arrays)}
    assert sorted(answered) == list(range(9))  # between labelled frames too, and not beyond the last
    exact = make_truth(tmp_path / "exact.json", {n: answered[n] for n in (0, 4, 8)})
    second = tmp_path / "second"
    assert run_replay(bag, second, model, *arguments, exact) == 0
    assert json.loads((second / "evaluation.json").read_text())["ap"]["total"] == 100
    assert "ground-truth boxes" in capsys.readouterr().out
    report = (second / "report.html").read_text()
    assert "Person boxes: <strong>ground-truth boxes</strong>" in report
    names = [frame.name for frame in read_sequence(second / "posetrack" / "exact.json").frames]
    assert names[4] == "images/val/tour/000004.jpg"  # the truth's names and ids, so that other tools pair them


def test_report_needs_nothing_from_elsewhere(tmp_path, model, boxes):
    out = tmp_path / "out"
    assert run_replay(make_folder(tmp_path / "clip"), out, model, "--boxes", boxes, "--no-bag", "--no-video") == 0
    text = (out / "report.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 7
    assert not any(word in text for word in ("http://", "https://", "<script", "@import", "url("))
    assert {path.name for path in out.iterdir()} == {"posetrack", "report.html", "result.json"}


def test_lookahead_and_excerpt(tmp_path, model, boxes):
    bag, out = make_bag(tmp_path / "tour"), tmp_path / "out"
    arguments = ["--boxes", boxes, "--lookahead", 0, "--start", 3, "--frames", 5]
    assert run_replay(bag, out, model, *arguments) == 0
    assert [time for time, _ in poses_of(out)] == STAMPS[3:8]
    assert read_sequence(out / "posetrack" / "tour.json").frames[0].name == "tour/000003.jpg"


def test_a_folder_of_somebody_elses_is_left_as_it_is(tmp_path, model, capsys):
    """A replay that cannot begin leaves nothing in it; one that could would not replace a result.json unasked."""
    out = tmp_path / "out"
    out.mkdir()
    assert run_replay(tmp_path / "absent.mp4", out, model) == 3
    assert list(out.iterdir()) == []
    (out / "result.json").write_text('{"theirs": 1}')
    clip = make_folder(tmp_path / "clip")
    assert run_replay(clip, out, model) == 2
    assert "already holds results (result.json)" in capsys.readouterr().err
    assert (out / "result.json").read_text() == '{"theirs": 1}'


def test_results_are_not_overwritten_unasked(tmp_path, model, boxes, capsys):
    clip, out = make_folder(tmp_path / "clip"), tmp_path / "out"
    assert run_replay(clip, out, model, "--boxes", boxes) == 0
    before = (out / "report.html").read_bytes()
    assert run_replay(clip, out, model, "--boxes", boxes) == 2
    assert "already holds results" in capsys.readouterr().err
    assert (out / "report.html").read_bytes() == before
    record = json.loads((out / "result.json").read_text())
    assert (record["frames"], record["poses"], record["error"]) == (12, 18, ""), "still the first replay's"
    assert run_replay(clip, out, model, "--boxes", boxes, "--overwrite") == 0
    assert len(poses_of(out)) == 12


def test_the_person_detector_is_the_default(tmp_path, model):
    out = tmp_path / "out"
    assert run_replay(make_folder(tmp_path / "clip", 3), out, model) == 0
    assert "person detector at 416 px" in (out / "report.html").read_text()


def test_poses_left_out_are_counted(tmp_path, model, monkeypatch):
    twice = Boxes(np.array([BOX, BOX], np.float32), np.array([0.9, 0.8], np.float32))
    monkeypatch.setattr("sdtc_ros.replay.run.make_detector", lambda *_: lambda image: twice)
    assert run_replay(make_folder(tmp_path / "clip", 3), tmp_path / "out", model) == 0
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (record["poses"], record["duplicates"]) == (3, 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_replay_keeps_what_it_did(tmp_path, model, boxes, number):
    """Really interrupted: a process with an endless supply of frames gets the signal once it has begun."""
    video, out = tmp_path / "long.avi", tmp_path / "out"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (320, 240))
    for i in range(900):
        writer.write(np.full((240, 320, 3), i % 250, np.uint8))
    writer.release()
    words = [sys.executable, "-m", "sdtc_ros", "replay", str(video), "--out", str(out), "--model", str(model)]
    words += ["--boxes", str(boxes), "--threads", "1"]
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 60
    while not (out / "annotated.mp4").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    poses = poses_of(out)
    assert 0 < len(poses) < 900
    assert len(read_sequence(next((out / "posetrack").iterdir())).frames) == len(poses)
    assert f"stopped after {len(poses)} frames" in (out / "report.html").read_text()


def test_a_defect_midway_leaves_readable_outputs(tmp_path, model, boxes, monkeypatch):
    from sdtc_ros.pipeline.pipeline import Pipeline

    original, calls = Pipeline.process, []

    def failing(self, frame, given=None):
        calls.append(frame)
        if len(calls) == 8:
            raise ZeroDivisionError
        return original(self, frame, given)

    monkeypatch.setattr(Pipeline, "process", failing)
    bag, out = make_bag(tmp_path / "tour"), tmp_path / "out"
    with pytest.raises(ZeroDivisionError):  # a defect of ours keeps its traceback
        run_replay(bag, out, model, "--boxes", boxes)
    assert [time for time, _ in poses_of(out)] == STAMPS[:5]
    assert len(read_sequence(out / "posetrack" / "tour.json").frames) == 5
    record = json.loads((out / "result.json").read_text())
    assert (record["frames"], record["poses"], record["error"]) == (5, 8, "ZeroDivisionError")


def test_a_doubtful_box_costs_less_than_a_sure_one(tmp_path, model, capsys):
    """Two people alike, one of them nobody's: its box's score decides whether AP is 50 or 100, as in validation."""
    bag, first = make_bag(tmp_path / "tour"), tmp_path / "first"
    wrong = [[44.0, 6.0, 24.0, 40.0]]
    answered = {}
    for sure, doubtful in ((1.0, 0.25), (0.25, 1.0)):  # the right box's score, and the wrong one's
        rows = [{"frame": n, "bbox": BOX, "track_id": 5, "score": sure} for n in range(12)]
        rows += [{"frame": n, "bbox": box, "track_id": 9, "score": doubtful} for n in range(12) for box in wrong]
        boxes = tmp_path / f"{sure}.json"
        boxes.write_text(json.dumps(rows))
        if not answered:
            assert run_replay(bag, first, model, "--boxes", boxes, "--crop-drift-threshold", 0) == 0
            answered = {n: arrays.keypoints[0, :, :2] for n, (_, arrays) in enumerate(poses_of(first))}
        truth = make_truth(tmp_path / "truth.json", answered)
        out = tmp_path / f"out-{sure}"
        assert run_replay(bag, out, model, "--boxes", boxes, "--sticky", 0, "--truth", truth) == 0
        ap = json.loads((out / "evaluation.json").read_text())["ap"]["total"]
        assert ap == pytest.approx(100.0) if sure == 1 else ap == pytest.approx(50.0)


def test_every_box_of_a_file_has_its_pose_however_weak(tmp_path, model):
    """As in the papers: from 0.2 on a box counts, whether or not a tracker would believe in it."""
    bag = make_bag(tmp_path / "tour")
    rows = [{"frame": n, "bbox": BOX, "score": score} for n, score in enumerate((0.9, 0.25, 0.21, 0.2, 0.19))]
    rows += [{"frame": n, "bbox": [40.0, 6.0, 24.0, 40.0], "score": 0.22} for n in range(4)]
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps(rows))
    assert run_replay(bag, tmp_path / "out", model, "--boxes", boxes) == 0
    frames = read_sequence(tmp_path / "out" / "posetrack" / "tour.json").frames
    assert [len(frame.people) for frame in frames] == [2, 2, 2, 2] + [0] * 8


@pytest.mark.parametrize("new", [False, True])
def test_the_truth_is_measured_by_its_own_data_sets_rules(tmp_path, model, capsys, new):
    """PoseTrack21 counts the frames that are marked as labelled, PoseTrack18 those that list people."""
    bag = make_bag(tmp_path / "tour")
    truth = make_truth(tmp_path / "truth.json", dict.fromkeys((0, 4, 8), np.tile([[20.0, 26.0]], (15, 1))))
    data = json.loads(truth.read_text())
    for image in data["images"]:
        image["is_labeled"] = image["id"] == 7000
    for annotation in data["annotations"]:
        annotation |= {"person_id": 3} if new else {}
    truth.write_text(json.dumps(data))
    arguments = ["--detector", "truth", "--truth", truth]
    assert run_replay(bag, tmp_path / "out", model, *arguments) == 0
    assert (f"posetrack21: 1 sequences, {1} frames" if new else "posetrack18: 1 sequences, 3 frames") in (
        capsys.readouterr().out
    )
    assert run_replay(bag, tmp_path / "other", model, *arguments, "--protocol", "posetrack21") == 0
    assert "posetrack21: 1 sequences, 1 frames" in capsys.readouterr().out


@pytest.mark.parametrize("ahead", [False, True])
def test_a_clock_that_is_set_back_costs_nothing(tmp_path, model, boxes, ahead, capsys):
    stamps = [stamp - 3 * 10**9 * (n >= 6) for n, stamp in enumerate(STAMPS)]
    stamps = [STAMPS[0] + 10 * 10**9, *STAMPS[1:]] if ahead else stamps
    with BagWriter(tmp_path / "bag") as bag:
        for number, stamp in enumerate(stamps):  # recorded in order, whatever the camera says
            image = cv2.imencode(".png", picture(number))[1].reshape(-1)
            header = to_header(stamp, "", bag_message_types())
            message = typestore().types[COMPRESSED_TYPE](header=header, format="png", data=image)
            bag.write("/camera/image", COMPRESSED_TYPE, STAMPS[number], message)
    assert run_replay(tmp_path / "bag", tmp_path / "out", model, "--boxes", boxes, "--no-video") == 0
    assert "the clock was set back once" in capsys.readouterr().out
    page = (tmp_path / "out" / "report.html").read_text()
    assert "could not be drawn" not in page
    assert "</html>" in page


def test_a_report_that_cannot_be_drawn_fails_nothing(tmp_path, model, boxes, monkeypatch, capsys):
    def fail(*_: object) -> str:
        raise ValueError("math domain error")

    monkeypatch.setattr("sdtc_ros.replay.report.area_chart", fail)
    assert run_replay(make_bag(tmp_path / "bag"), tmp_path / "out", model, "--boxes", boxes, "--no-video") == 0
    assert (
        "part of the report could not be drawn (ValueError: math domain error)"
        in (tmp_path / "out" / "report.html").read_text()
    )


@pytest.mark.parametrize("video", [True, False])
def test_a_full_disk_keeps_the_poses_until_then(tmp_path, model, boxes, video, monkeypatch, capsys):
    room = [12_000]  # bytes that still fit

    def append(stream, data: bytes) -> None:
        room[0] -= len(data)
        if room[0] < 0:
            stream.write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        stream.write(data)

    monkeypatch.setattr("sdtc_ros.ground_truth.posetrack_write._append", append)
    close = PoseTrackWriter.close

    def freed(stream: PoseTrackWriter) -> None:
        room[0] += 100_000
        close(stream)

    monkeypatch.setattr(PoseTrackWriter, "close", freed)
    words = [] if video else ["--no-video"]
    assert run_replay(make_bag(tmp_path / "bag"), tmp_path / "out", model, "--boxes", boxes, *words) == 5
    said = capsys.readouterr().err
    assert "could not be written: No space left on device" in said
    assert len(said.splitlines()) == 1
    sequence = read_sequence(next((tmp_path / "out" / "posetrack").iterdir()))
    count = len(sequence.frames)
    assert 2 < count < 12
    assert all(frame.people for frame in sequence.frames)
    assert len(list(BagReader(tmp_path / "out" / "poses_bag").records(POSES_TOPIC))) == count
    assert "</html>" in (tmp_path / "out" / "report.html").read_text()
    assert not list((tmp_path / "out").glob("annotated.*"))


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, model, boxes, monkeypatch, capsys):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("sdtc_ros.replay.outputs.tempfile.TemporaryFile", full)
    assert run_replay(make_bag(tmp_path / "bag"), tmp_path / "out", model, "--boxes", boxes) == 2
    assert "results cannot be written to" in capsys.readouterr().err


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_a_bag_writer_that_is_killed_leaves_what_it_had_written(tmp_path, storage, monkeypatch):
    monkeypatch.setattr("sdtc_ros.io.bag._FLUSH_EVERY", 1)
    with BagWriter(tmp_path / "bag", storage) as bag:
        for number in range(6):
            bag.write_image("/camera", Frame(picture(number), STAMPS[number]), "bgr8")
        shutil.copytree(tmp_path / "bag", tmp_path / "killed")
    reader = BagReader(tmp_path / "killed")
    assert len([record for record in reader.records("/camera") if record.data]) == 6


def test_more_people_than_asked_for_are_counted(tmp_path, model, boxes, capsys):
    bag = make_bag(tmp_path / "bag")
    assert run_replay(bag, tmp_path / "out", model, "--boxes", boxes, "--no-video", "--max-people", 1) == 5
    assert (
        "6 person boxes were left out beyond the best 1 of a frame; --max-people takes more" in capsys.readouterr().err
    )


def test_annotated_frames_that_are_not_there_are_counted(tmp_path, model, boxes, capsys):
    write_sequence(truth_of("x", range(3, 15)), tmp_path / "truth.json")
    words = ["--boxes", boxes, "--no-video", "--truth", tmp_path / "truth.json"]
    assert run_replay(make_bag(tmp_path / "bag"), tmp_path / "out", model, *words) == 5
    assert "3 annotated frames of" in capsys.readouterr().err
    assert run_replay(tmp_path / "bag", tmp_path / "out", model, *words, "--frames", 6, "--overwrite") == 0


def truth_of(name: str, numbers: range) -> Sequence:
    points = np.tile([20.0, 26.0, 1.0], (len(POSETRACK), 1))
    box = np.array([8, 6, 24, 40.0])
    people = [Person(points.copy(), track_id=1, box=box, head_box=np.array([8, 6, 9, 9.0])) for _ in numbers]
    frames = [SequenceFrame(f"{n:06d}.jpg", 900 + n, True, [p]) for n, p in zip(numbers, people, strict=True)]
    return Sequence(name, frames)
