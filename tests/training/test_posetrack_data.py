# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The data module on real layouts: its order, resuming, detector boxes, the recipes' schedule; the check command."""

from __future__ import annotations

import contextlib
import json
import math
import runpy
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import clip_folders as made
import cv2
import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from sdtc_ros.detection.boxes import overlaps
from sdtc_ros.errors import InputError, UsageError
from sdtc_ros.messages.encodings import file_to_bgr
from sdtc_ros.skeleton import POSETRACK
from training.callbacks import LastCheckpoint
from training.checkpoint import KEY, read_checkpoint
from training.data import clips
from training.data.__main__ import main
from training.data.clips import ClipDataset
from training.data.demo_clip import DemoConfig, DemoData
from training.data.detections import match_detections
from training.data.index import build_index
from training.data.layout import find_layout
from training.data.loader import NearbyOrder, SeededOrder
from training.data.posetrack import PoseTrackConfig, PoseTrackData
from training.decode import encode_heatmaps
from training.models.baselines import SingleFrameConfig
from training.models.vit import ViTConfig
from training.module import OptimiserConfig, SingleFrameTraining
from training.validation import Validation

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).resolve().parents[2] / "training" / "configs"
TINY = SingleFrameConfig(backbone=ViTConfig(image_size=(64, 48), dim=16, depth=1, heads=2), head_width=8)


def folder(root: Path, new: bool = False) -> Path:
    """Two training sequences and a validation one: 12 and 6 windows."""
    for split, name in (("train", "000001_test"), ("train", "000002_test"), ("val", "000003_test")):
        made.posetrack18(root, split, name, new)
    return root


def config(root: Path, **options) -> PoseTrackConfig:
    return replace(PoseTrackConfig(str(root), size=(48, 64), delta=1, batch=2, workers=0), **options)


# --- order and resuming -------------------------------------------------------------------------------------------


def test_order_is_fixed_by_seed_and_epoch():
    def items(seed=1, epoch=0, skip=0):
        order = SeededOrder(range(20), seed)
        order.set_epoch(epoch)
        order.skip = skip
        return list(order)

    assert items() == items()
    assert sorted(i for _, i in items()) == list(range(20))
    assert {e for e, _ in items(epoch=4)} == {4}
    assert [i for _, i in items(epoch=1)] != [i for _, i in items()] != [i for _, i in items(seed=2)]
    assert items(skip=6) == items()[6:]


def test_processes_share_the_data_out():
    parts = [[i for _, i in SeededOrder(range(10), 0, ranks=3, rank=rank)] for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    assert {i for part in parts for i in part} == set(range(10))


def test_a_nearby_order_takes_every_sample_once_and_decodes_less(tmp_path, monkeypatch):
    for number in range(12):
        made.posetrack18(tmp_path, "train", f"{number:06d}_test")
    index = build_index(find_layout(tmp_path, "train"))
    windows = ClipDataset(index, (48, 64), 1, cache=3 * 8)
    runs = windows.runs(4)
    assert sorted(map(len, runs)) == [2] * 12 + [4] * 12  # keyframes 0 and 2, and 4, two people in each
    nearby = [NearbyOrder(windows, 1, runs, mixed=3, batch=5, workers=2, ranks=2, rank=rank) for rank in (0, 1)]
    items = [list(order) for order in nearby]
    assert [len(part) for part in items] == [36, 36]
    assert sorted(i for part in items for _, i in part) == list(range(72))
    assert items[0] == list(NearbyOrder(windows, 1, runs, 3, 5, 2, 2, 0))
    nearby[0].set_epoch(1)
    assert [i for _, i in nearby[0]] != [i for _, i in items[0]]

    def decoded(order) -> int:
        """By the first of two workers, which has every other batch of 5."""
        calls = []
        monkeypatch.setattr(clips, "file_to_bgr", lambda data, name: calls.append(name) or file_to_bgr(data, name))
        worker = ClipDataset(index, (48, 64), 1, cache=24)
        for at in range(0, 30, 10):
            for item in order[at : at + 5]:
                worker[item]
        return len(calls)

    assert decoded(items[0]) < 0.7 * decoded(list(SeededOrder(windows, 1, 2, 0)))


def test_mixtures_are_an_option_of_the_data(tmp_path):
    data = PoseTrackData(config(folder(tmp_path), mixed=2))
    data.setup("fit")
    loader = data.train_dataloader()
    assert isinstance(loader.sampler, NearbyOrder)
    assert sum(len(batch["crops"]) for batch in loader) == 12


def test_epochs_differ_in_order_and_augmentation_and_workers_change_nothing(tmp_path):
    folder(tmp_path)

    def epochs(workers):
        data = PoseTrackData(config(tmp_path, workers=workers))
        data.setup("fit")
        loader = data.train_dataloader()
        crops = []
        for epoch in (0, 1):
            loader.sampler.set_epoch(epoch)
            crops.append(np.concatenate([batch["crops"].numpy() for batch in loader]))
        return crops

    one, other = epochs(0), epochs(2)
    assert one[0].shape == (12, 3, 64, 48, 3)
    assert not np.array_equal(one[0], one[1])
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


class Losses(Callback):
    """Every step's loss; the run breaks down before the step number `until`."""

    def __init__(self, until: int | None = None) -> None:
        self.values: dict[int, float] = {}
        self.until = until

    def on_train_batch_start(self, trainer, module, batch, index) -> None:
        if trainer.global_step == self.until:
            raise ConnectionAbortedError

    def on_train_batch_end(self, trainer, module, outputs, batch, index) -> None:
        self.values[trainer.global_step] = float(outputs["loss"])


def fit(root: Path, run: Path, steps: int, resume: Path | None = None, data=None, until=None, every=1.0, **options):
    lightning.seed_everything(3)
    model = SingleFrameTraining(TINY, OptimiserConfig(warmup_steps=2, schedule="steps", **options))
    losses = Losses(until)
    trainer = lightning.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[losses, LastCheckpoint(run)], num_sanity_val_steps=0, default_root_dir=run, val_check_interval=every,
    )  # fmt: skip
    with warnings.catch_warnings(), contextlib.suppress(ConnectionAbortedError):
        warnings.simplefilter("ignore")
        data = data or PoseTrackData(config(root))
        trainer.fit(model, datamodule=data, ckpt_path=resume, weights_only=True)
    return losses.values, trainer


def test_a_run_that_broke_down_goes_on_as_if_it_had_not(tmp_path):
    folder(tmp_path / "data")
    whole, _ = fit(tmp_path / "data", tmp_path / "whole", 14)  # 6 steps an epoch
    assert len(set(whole.values())) == 14
    # broken in the first epoch, after its end, in the second; validated (and kept) every 2nd or 3rd step, or epoch
    for until, every, kept in ((5, 2, 4), (7, 1.0, 6), (11, 3, 9)):
        run = tmp_path / f"{until}"
        fit(tmp_path / "data", run, 14, until=until, every=every)
        rest, _ = fit(tmp_path / "data", run, 14, run / "last.ckpt", every=every)
        assert list(rest) == list(range(kept + 1, 15))
        assert [rest[step] for step in rest] == [whole[step] for step in rest]


def test_the_checkpoint_says_which_boxes_its_validation_was_on(tmp_path):
    folder(tmp_path / "data")
    _, trainer = fit(tmp_path / "data", tmp_path / "run", 7)
    trainer.save_checkpoint(tmp_path / "end.ckpt")
    entry = read_checkpoint(tmp_path / "end.ckpt")[KEY]
    assert entry["boxes"] == "ground-truth boxes"
    assert "val/pckh_all" in entry["validation"]


# --- the recipe ---------------------------------------------------------------------------------------------------


def test_milestones_count_epochs_or_steps():
    epochs = OptimiserConfig(warmup_steps=0, schedule="steps", milestones=(20, 40), milestone_unit="epochs")
    assert [epochs.scale(s, math.inf, 10) for s in (0, 199, 200, 399, 400)] == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    steps = replace(epochs, milestone_unit="steps")
    assert [steps.scale(s, math.inf, 10) for s in (0, 19, 20, 40)] == pytest.approx([1, 1, 0.1, 0.01])


def test_the_learning_rate_falls_at_the_epochs(tmp_path):
    folder(tmp_path / "data")
    _, trainer = fit(tmp_path / "data", tmp_path / "run", 20, milestones=(1, 3), milestone_unit="epochs")
    schedule = trainer.lr_scheduler_configs[0].scheduler
    rates = [schedule.lr_lambdas[0](step) for step in (2, 5, 6, 17, 18)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(5e-6)


def test_epochs_that_have_no_end_are_refused(tmp_path):
    endless = DemoData(DemoConfig(held_out=9, size=(48, 64), delta=0, batch=2, workers=0))
    with pytest.raises(UsageError, match="these data have no epochs.*set model.init_args.optimiser.milestone_unit"):
        fit(tmp_path, tmp_path / "run", 3, data=endless, milestones=(1,), milestone_unit="epochs")


def test_a_skeleton_that_is_not_the_networks_is_refused(tmp_path):
    made.hieve(tmp_path / "data", video="1")
    made.hieve(tmp_path / "data", video="2")
    data = PoseTrackData(config(tmp_path / "data", dataset="hieve", hold_out=2))
    with pytest.raises(UsageError, match="hieve has the hieve skeleton, but the network's is posetrack: set"):
        fit(tmp_path, tmp_path / "run", 1, data=data)


@pytest.mark.parametrize("name", ["posetrack17", "posetrack18", "posetrack21", "hieve"])
def test_the_papers_recipes_are_configs(name, tmp_path, monkeypatch):
    from training import train

    options = {"dim": 16, "depth": 1, "heads": 2}  # a backbone that is built in no time
    arguments = [f"--model.init_args.config.backbone.{key}={value}" for key, value in options.items()]
    arguments += ["--model.init_args.backbone_checkpoint=null", "--trainer.accelerator=cpu", f"--run={tmp_path}"]
    command = train.build(["--config", str(CONFIGS / f"{name}-sdtc-b.yaml"), *arguments])
    assert (command.datamodule.config.dataset, command.datamodule.config.seed) == (name, 1)
    assert (command.datamodule.config.size, command.datamodule.config.delta) == ((192, 256), 2)
    augmentation = command.datamodule.config.augmentation
    assert (augmentation.draw, augmentation.rotation_limit, augmentation.rotation_probability) == ("uniform", 45, 1)
    assert (augmentation.scale_range, augmentation.shift) == ((0.65, 1.35), 0)
    assert command.model.network.config.smml.residual is False
    optimiser = command.model.optimiser
    assert [optimiser.lr * optimiser.scale(epoch, 50, 1) for epoch in (0, 19, 20, 39, 40, 49)] == pytest.approx(
        [5e-4, 5e-4, 5e-5, 5e-5, 5e-6, 5e-6]
    )
    assert command.trainer.max_epochs == 50
    assert len(command.model.network.skeleton) == (14 if name == "hieve" else 15)


# --- splits and detector boxes ------------------------------------------------------------------------------------


def test_every_nth_sequence_is_held_out(tmp_path):
    for video in "1234":
        made.hieve(tmp_path, video=video)
    data = PoseTrackData(config(tmp_path, dataset="hieve", hold_out=2))
    data.setup("fit")
    assert [video.name for video in data.train_set.index.videos] == ["1", "3"]
    assert [video.name for video in data.val_set.index.videos] == ["2", "4"]
    with pytest.raises(UsageError, match=r"hold_out must be 2 to 4 \(the sequences there are\), or 0, but is 9"):
        PoseTrackData(config(tmp_path, dataset="hieve", hold_out=9)).setup("fit")


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    data = PoseTrackData(config(folder(tmp_path), batch=64))
    data.setup("fit")
    with pytest.raises(UsageError, match="a batch of 64 windows exceeds the 12"):
        data.train_dataloader()


def shifted(frame: int, person: int, by: float) -> list[float]:
    return [made.box(frame, person)[0] + by, *made.box(frame, person)[1:]]


def detections(name: str = "000003_test") -> list[dict]:
    """For frames 0 and 2: each person's box a little off, a second one on the first person, one of nobody."""
    boxes = []
    for frame in (0, 2):
        image = f"images/val/{name}/{frame:06d}.jpg"
        boxes += [{"image_name": image, "bbox": shifted(frame, p, 6.0), "score": 0.9} for p in range(2)]
        boxes += [{"image_name": image, "bbox": shifted(frame, 0, 12.0), "score": 0.95}]
        boxes += [{"image_name": image, "bbox": [150.0, 100.0, 10.0, 10.0], "score": 0.8}]
    return boxes


def test_every_detector_box_gives_a_window_and_people_the_one_that_overlaps_most(tmp_path):
    folder(tmp_path / "data")
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(detections()))
    data = PoseTrackData(config(tmp_path / "data", boxes=str(file)))
    data.setup("validate")
    assert data.boxes == "detector boxes from boxes.json, 4 of 6 people found, 4 other boxes"
    assert len(data.val_set) == 8
    samples, people = data.val_set.samples, data.val_set.index.people
    owned = samples.rows >= 0
    assert owned.tolist() == [True, True, False, False] * 2
    assert np.allclose(samples.boxes[owned] - people.boxes[samples.rows[owned]], [6, 0, 0, 0])
    truth = PoseTrackData(config(tmp_path / "data"))
    truth.setup("validate")
    moved, exact = data.val_set[0], truth.val_set[0]
    known = exact["weight"][1] > 0
    step = (moved["points"][1] - exact["points"][1])[known]
    assert np.allclose(step, [-6 * 63 / 137.5, 0], atol=0.1)  # the crop moved right, so the joints left
    assert moved["head_size"] == pytest.approx(exact["head_size"])
    nobody = data.val_set[3]
    assert nobody["crops"].any() and not nobody["weight"].any() and not nobody["occluded"].any()


def test_boxes_of_nobody_are_false_positives(tmp_path):
    """Two true boxes a frame, and as many on the background: sure ones halve precision, unsure ones cost nothing."""
    folder(tmp_path / "data")
    file, found = tmp_path / "boxes.json", {}
    for score in (None, 0.95, 0.3, 0.1):
        boxes = []
        for frame in made.LABELLED:
            image = f"images/val/000003_test/{frame:06d}.jpg"
            boxes += [{"image_name": image, "bbox": made.box(frame, p), "score": 0.9} for p in range(2)]
            corner = [170.0, 120.0, 20.0, 30.0], [200.0, 120.0, 20.0, 30.0]
            boxes += [{"image_name": image, "bbox": box, "score": score} for box in corner if score is not None]
        file.write_text(json.dumps(boxes))
        data = PoseTrackData(config(tmp_path / "data", boxes=str(file)))
        data.setup("validate")
        validation = Validation()
        for sample in range(len(data.val_set)):
            window = data.val_set[sample]
            points = window["points"][1] if window["weight"].any() else np.full((15, 2), 30.0, np.float32)
            batch = {name: torch.from_numpy(np.asarray(value))[None] for name, value in window.items()}
            maps = torch.from_numpy(encode_heatmaps(points[None], (48, 64), (12, 16)))
            validation.add(batch, maps, (64, 48))
        found[score] = validation.figures(POSETRACK, data.validation_truth())
    assert found[None]["ap_total"] > 90
    assert found[0.95]["ap_total"] < 0.7 * found[None]["ap_total"]
    assert found[0.3]["ap_total"] == pytest.approx(found[0.1]["ap_total"]) == pytest.approx(found[None]["ap_total"])
    assert {round(figures["pckh_all"], 6) for figures in found.values()} == {round(found[None]["pckh_all"], 6)}


@pytest.mark.parametrize("form", ["posetrack18", "folder", "frames"])
def test_detector_boxes_in_other_forms(tmp_path, form):
    folder(tmp_path / "data")
    index = build_index(find_layout(tmp_path / "data", "val"))
    path = tmp_path / "boxes"
    if form == "posetrack18":
        path = tmp_path / "boxes.json"
        images = [{"id": f, "file_name": f"images/val/000003_test/{f:06d}.jpg"} for f in (0, 2)]
        boxes = [{"image_id": f, "bbox": made.box(f, p), "score": 0.5} for f in (0, 2) for p in (0, 1)]
        path.write_text(json.dumps({"images": images, "annotations": boxes}))
    else:
        path.mkdir()
        key = (lambda f: {"image_name": f"{f:06d}.jpg"}) if form == "folder" else (lambda f: {"frame": f})
        boxes = [key(f) | {"bbox": made.box(f, p)} for f in (0, 2) for p in (0, 1)]
        (path / "000003_test.json").write_text(json.dumps(boxes))
    matches = match_detections(index, path)
    assert (len(matches.rows), matches.missed) == (4, 2)
    assert np.array_equal(matches.boxes, index.people.boxes[matches.rows])
    assert np.array_equal(matches.place, index.people.place[matches.rows])


def test_detector_boxes_that_cannot_be_used_are_told(tmp_path):
    folder(tmp_path / "data")
    index = build_index(find_layout(tmp_path / "data", "val"))
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps(detections("000009_other")))
    with pytest.raises(InputError, match="none of its boxes belongs to a labelled frame.*sequence '000009_other'"):
        match_detections(index, file)
    file.write_text(json.dumps([{"frame": 0, "bbox": [1, 2, 3, 4]}]))
    with pytest.raises(InputError, match="a box must name its image"):
        match_detections(index, file)
    file.write_text(json.dumps(detections()))
    kept = match_detections(index, file, min_score=0.92)
    assert (len(kept.rows), kept.missed) == (2, 4)
    assert len(match_detections(index, file, min_score=0.99).rows) == 0
    with pytest.raises(InputError, match="holds no \\*.json file"):
        match_detections(index, tmp_path / "data")


def test_overlap_by_hand():
    one = np.array([[0, 0, 2, 2]], np.float32)
    other = np.array([[1, 1, 2, 2], [0, 0, 2, 2], [5, 5, 1, 1], [0, 0, 0, 0]], np.float32)
    assert overlaps(one, other).tolist() == [pytest.approx([1 / 7, 1, 0, 0])]


# --- the command --------------------------------------------------------------------------------------------------


def check(*arguments: str | Path) -> int:
    return main(["check", *map(str, arguments)])


def test_check_tells_and_draws(tmp_path, capsys):
    folder(tmp_path / "data", new=True)
    assert check(tmp_path / "data", "--out", tmp_path / "out", "--decode", "--windows", 4) == 0
    text = capsys.readouterr().out
    assert "posetrack21, split train\n  sequences  2\n  frames     14, of which 6 labelled" in text
    assert "people     12 in labelled frames, 4 tracks, 12 windows" in text
    assert "right_elbow            12  (0)" in text
    assert "left_wrist              0  (0)" in text
    sheet = cv2.imread(str(tmp_path / "out/posetrack21-val.png"))
    assert sheet.shape == (2 * 218, 2 * 5 * 152, 3)
    assert len(np.unique(sheet.reshape(-1, 3), axis=0)) > 100


@pytest.mark.parametrize("options", [("--decode", "--augment"), ("--windows", 99)])
def test_check_names_what_is_damaged(tmp_path, capsys, options):
    folder(tmp_path / "data")
    (tmp_path / "data/images/val/000003_test/000001.jpg").write_bytes(b"no image")
    (tmp_path / "data/annotations/train/000001_test.json").write_text('{"images": [')
    assert check(tmp_path / "data", "--out", tmp_path / "out", *options) == 5
    out, err = capsys.readouterr()
    assert "1  annotations that cannot be read, first:" in out
    assert "1  images that do not decode, first:" in out
    assert "000001.jpg" in out
    assert err == "training.data: error: some of it is damaged or missing, see above\n"


def test_check_tells_how_many_people_a_detector_finds(tmp_path, capsys):
    folder(tmp_path / "data")
    (tmp_path / "boxes.json").write_text(json.dumps(detections()))
    options = ("--split", "val", "--boxes", tmp_path / "boxes.json", "--out", tmp_path / "out")
    assert check(tmp_path / "data", *options) == 0
    assert "detector boxes from boxes.json, 4 of 6 people found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            (),
            "data holds no data set that is known; expected annotations/<split>/*.json (PoseTrack17, 18), pose",
        ),
        (
            ("--dataset", "hieve"),
            "data holds no hieve; expected annotations/<split>/<video>/000000.xml beside images/<split>/<video>/",
        ),
        (("--dataset", "posetrack21"), "expected posetrack_data/<split>/*.json beside images/<split>/<sequence>/"),
        (
            ("--split", "val", "--dataset", "posetrack17"),
            "expected annotations/val/*.json with 'annolist' beside images/",
        ),
    ],
)
def test_check_says_what_it_expected_where(tmp_path, capsys, arguments, sentence):
    (tmp_path / "data/pictures").mkdir(parents=True)
    assert check(tmp_path / "data", *arguments) == 3
    err = capsys.readouterr().err
    assert err.startswith("training.data: error: ")
    assert sentence in err
    assert err.count("\n") == 1


def test_check_runs_as_a_module(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["data", "check", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("training.data", run_name="__main__")
    assert stopped.value.code == 3
    assert "nowhere does not exist; expected" in capsys.readouterr().err
