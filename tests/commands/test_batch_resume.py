# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Batches that go on: parts of several hosts make a whole, complete results are kept and never taken for others'."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from batch_world import FRAMES, NAMES, batch, inputs, make_world
from fake_bundle import make_bundle

from sdtc_ros.errors import InputError
from sdtc_ros.evaluate.replays import measure_together
from sdtc_ros.replay.many import Task, finished
from sdtc_ros.skeleton import POSETRACK

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("model") / "fake").folder


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def finished_batch(tmp_path_factory, world, model) -> Path:
    """Boxes from a file, no annotations: the results that the tests below copy."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "boxes.json").write_text(
        json.dumps([{"frame": n, "bbox": [8, 6, 24, 40], "track_id": 5} for n in range(FRAMES)])
    )
    assert batch(inputs(world), folder / "out", model, "--boxes", folder / "boxes.json") == 0
    return folder


@pytest.fixture
def out(finished_batch, tmp_path) -> Path:
    return Path(shutil.copytree(finished_batch / "out", tmp_path / "out"))


@pytest.fixture
def boxes(finished_batch) -> list[object]:
    return ["--boxes", finished_batch / "boxes.json"]


def times(out: Path) -> dict[str, int]:
    return {name: (out / name / "replay.log").stat().st_mtime_ns for name in NAMES}


def test_the_documented_way_over_several_hosts(world, tmp_path, finished_batch, boxes, model, capsys):
    """Parts without annotations, then one run with them: nothing is done again, and all are evaluated."""
    out = tmp_path / "out"
    for part in ("1/2", "2/2"):
        assert batch(inputs(world), out, model, "--part", part, *boxes) == 0
    assert sorted(path.name for path in out.iterdir()) == ["batch-1-of-2.json", "batch-2-of-2.json", *NAMES]
    assert len(json.loads((out / "batch-2-of-2.json").read_text())["inputs"]) == 1
    before = times(out)
    capsys.readouterr()
    assert batch(inputs(world), out, model, "--truth", world / "truth", "--resume", *boxes) == 0
    assert times(out) == before
    late = json.loads((out / "batch.json").read_text())["evaluation"]
    assert late["counts"]["sequences"] == 3
    assert "3 of 3 inputs" in (said := capsys.readouterr().out)
    assert "MOTA" in said
    assert batch(inputs(world), tmp_path / "once", model, "--truth", world / "truth", *boxes) == 0
    assert late == json.loads((tmp_path / "once" / "batch.json").read_text())["evaluation"]


def test_results_are_not_lost_by_a_second_run(world, out, boxes, model, capsys):
    before = times(out)
    assert batch(inputs(world), out, model, *boxes) == 2
    assert capsys.readouterr().err == (
        f"sdtc_ros: error: {out}/east holds results; choose another folder, or add --resume or --overwrite\n"
    )
    assert times(out) == before
    assert (out / "east" / "batch.json").exists()
    assert batch(inputs(world)[:1], out, model, *boxes, "--overwrite") == 0
    assert times(out)["east"] != before["east"]


@pytest.mark.parametrize("state", ["stopped", "killed", "without its JSON"])
def test_what_was_interrupted_is_done_again(world, out, boxes, model, state):
    """Stopped ones have a record that says so, killed ones have none."""
    record = out / "north" / "batch.json"
    if state == "stopped":
        record.write_text(json.dumps(json.loads(record.read_text()) | {"status": 130}))
    elif state == "killed":
        record.unlink()
    else:
        (out / "north" / "posetrack" / "north.json").unlink()
    before = times(out)
    assert batch(inputs(world), out, model, "--resume", *boxes) == 0
    now = times(out)
    assert [name for name in NAMES if now[name] != before[name]] == ["north"]
    assert json.loads(record.read_text())["status"] == 0
    assert (out / "north" / "posetrack" / "north.json").exists()


def test_results_that_no_batch_wrote_are_left(world, out, boxes, model, capsys):
    for name in ("batch.json", "replay.log"):
        (out / "west" / name).unlink()
    assert batch(inputs(world), out, model, "--resume", *boxes) == 2
    assert "west holds results; choose another folder" in capsys.readouterr().err
    assert (out / "west" / "report.html").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (["--sticky", 0], "made otherwise, and not with --crop-drift-threshold=0.0; add --overwrite"),
        (["--frames", 2], "made otherwise, and not with --frames=2;"),
        (["--model", "other"], "made with model="),
        (["--boxes", "person"], ", and not without it;"),
        (["input"], "made with INPUT="),
    ],
)
def test_results_of_another_run_are_not_taken_for_this_ones(world, out, boxes, model, capsys, change, sentence):
    """Other settings, another model, another input of the same name: refused, or done again where that is wanted."""
    sources, before = inputs(world), times(out)
    if change == ["input"]:
        sources, change = [shutil.copytree(sources[0], out.parent / "elsewhere" / "east")], []
    if "other" in change:
        change = ["--model", make_bundle(out.parent / "other", delta=1).folder]
    words = ["--resume", *boxes, *change]
    assert batch(sources, out, model, *words) == 2
    error = capsys.readouterr().err
    assert f"{out}/east holds results that were made " in error
    assert sentence in error
    assert times(out) == before
    assert batch(sources[:1], out, model, *words, "--overwrite") == 0
    assert "east: processed again, its results were made " in capsys.readouterr().out
    assert times(out)["east"] != before["east"]
    assert batch(sources[:1], out, model, *words, "--quiet", "--threads", 2) == 0


def test_what_counts_as_complete(world, out):
    """A damaged input that was read as far as it goes is complete; a failed one, or a record that is none, is not."""
    task, record = Task("east", world / "in" / "east", out / "east", ()), out / "east" / "batch.json"
    noted = json.loads(record.read_text())
    for status, complete in ((0, True), (5, True), (3, False), (130, False), (143, False), (137, False)):
        record.write_text(json.dumps(noted | {"status": status}))
        assert (finished(task) is not None) == complete, status
    for text in ("[]", "{}", "no JSON", json.dumps(noted | {"unknown": 1})):
        record.write_text(text)
        assert finished(task) is None


def test_answers_find_their_frames_without_the_annotations_names(world, tmp_path):
    """A video's frames have numbers only, here from 2 on. What has no annotated frame is left out."""
    truth, poses = world / "truth" / "east.json", tmp_path / "east.json"
    data = json.loads(truth.read_text())
    data["images"], people = data["images"][2:], data["annotations"][2:]
    number_of = {image["id"]: number for number, image in enumerate(data["images"], start=2)}
    data["annotations"] = [one | {"image_id": number_of[one["image_id"]]} for one in people]
    data["images"] = [
        {"id": number, "number": number, "file_name": f"film/{number:06d}.jpg"} for number in number_of.values()
    ]
    poses.write_text(json.dumps(data))
    result = measure_together([(truth, poses)], POSETRACK)
    assert (result.ap["total"], result.counts["frames"]) == (100.0, 2)
    other = tmp_path / "west.json"
    late = {"id": 9, "number": 9, "file_name": "film/000009.jpg"}
    other.write_text(json.dumps(data | {"images": [late], "annotations": []}))
    both = measure_together([(truth, poses), (world / "truth" / "west.json", other)], POSETRACK)
    assert both.ap == result.ap
    assert f"{other} has none of the annotated frames" in both.warnings[0]
    with pytest.raises(InputError, match="none of the annotated frames"):
        measure_together([(world / "truth" / "west.json", other)], POSETRACK)


def test_boxes_of_other_annotations_are_other_boxes(world, tmp_path, model, capsys):
    """Annotations that only measure may come later; those that give the boxes may not be exchanged."""
    other = shutil.copytree(world / "truth", tmp_path / "other")
    words = [inputs(world)[:1], tmp_path / "out", model, "--resume", "--detector", "truth", "--truth"]
    assert batch(*words, world / "truth") == 0
    assert batch(*words, other) == 2
    assert f"made with --truth={world}/truth, and not with --truth={other};" in capsys.readouterr().err
