# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""training/train.py from its command line: the shipped configs in a few steps, going on, and what it refuses."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml

from training.checkpoint import KEY, load_network, read_checkpoint
from training.data import demo_clip
from training.train import main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SIZE = (48, 64)  # a crop's width and height
DATA = "--data.init_args.config."
MICRO = [
    "--trainer.val_check_interval", "2", "--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu",
    "--trainer.log_every_n_steps", "1", "--trainer.enable_model_summary", "false",
    "--model.init_args.config.backbone.image_size", "[64, 48]",
    f"{DATA}batch", "2", f"{DATA}workers", "0", f"{DATA}held_out", "9",
]  # fmt: skip


def fit(config: str, *more: str) -> int:
    return main(["fit", "--config", str(ROOT / "training" / "configs" / f"{config}.yaml"), *MICRO, *more])


def state(run: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]


@pytest.fixture(scope="module", autouse=True)
def process_settings():
    """A run sets precision and threads for its process: put them back for the tests of other files."""
    precision, threads = torch.get_float32_matmul_precision(), cv2.getNumThreads()
    yield
    torch.set_float32_matmul_precision(precision)
    cv2.setNumThreads(threads)


@pytest.fixture(scope="module")
def streams():
    """Every stream of training windows that was asked for."""
    return []


@pytest.fixture(scope="module")
def runs(tmp_path_factory, streams):
    """Both shipped configs, SDTC's at delta 1 on the backbone of the run before; the working folder is the runs'."""
    folder, back = tmp_path_factory.mktemp("train"), Path.cwd()

    class Noted(demo_clip.DemoWindows):
        def __init__(self, *arguments, **named) -> None:
            super().__init__(*arguments, **named)
            streams.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_clip, "DemoWindows", Noted)
        os.chdir(folder)
        assert fit("backbone-tiny", "--trainer.max_steps", "2") == 0
        assert fit("sdtc-tiny", "--trainer.max_steps", "2", "--model.init_args.config.delta", "1") == 0
        yield folder / "runs"
        os.chdir(back)


@pytest.mark.parametrize("name", ["backbone-tiny", "sdtc-tiny"])
def test_a_run_s_folder(runs, name):
    run = runs / name
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
    for kind in ("best", "last"):
        content = read_checkpoint(run / "checkpoints" / f"{kind}.ckpt")
        assert content["global_step"] == 2
        assert 0 <= content[KEY]["validation"]["val/pckh_all"] <= 100
    network = load_network(run / "checkpoints" / "last.ckpt")
    assert (type(network).__name__, network.config.delta) == (("SingleFrame", 0) if "back" in name else ("SDTC", 1))
    rows = list(csv.DictReader((run / "metrics.csv").open()))
    assert sum(bool(row["train/loss"]) for row in rows) == 2
    assert sum(bool(row["val/pckh_all"]) for row in rows) == 1
    plot = cv2.imread(str(run / "curves.png"))
    assert min(plot.shape[:2]) > 300
    assert np.ptp(plot) > 200  # something is drawn
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["trainer"]["max_steps"] == 2
    assert config["seed_everything"] == 1


def test_window_crop_and_seed_of_the_data_are_the_network_s(runs, streams):
    assert [(stream.delta, tuple(stream.size), stream.seed) for stream in streams[:2]] == [(0, SIZE, 1), (1, SIZE, 1)]


def test_a_frozen_backbone_stays_the_same_to_the_bit(runs):
    """Statistics of batch norms too; the rest of the network has moved on, and so had the backbone in its own run."""
    before, after = state(runs / "backbone-tiny"), state(runs / "sdtc-tiny")
    frozen = [name for name in after if name.startswith("network.backbone.")]
    assert sum(name.endswith("running_mean") for name in frozen) > 3
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert all(before[name] == 2 for name in frozen if name.endswith("num_batches_tracked"))
    assert all(after[n] == 2 for n in after if n not in frozen and n.endswith("num_batches_tracked"))
    assert after["network.head.final.weight"].abs().max() > 0


def test_going_on_keeps_the_log_and_counts_from_where_it_was(runs, streams, tmp_path):
    run = shutil.copytree(runs / "sdtc-tiny", tmp_path / "run")
    earlier, head = (run / "metrics.csv").read_text(), state(run)["network.head.final.weight"].clone()
    more = ["--trainer.max_steps", "4", "--model.init_args.config.delta", "1", "--run", str(run)]
    assert fit("sdtc-tiny", *more, "--ckpt_path", str(run / "checkpoints" / "last.ckpt")) == 0
    content = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert content["global_step"] == 4
    assert content["lr_schedulers"][0]["last_epoch"] == 4
    assert all(moments["step"] == 4 for moments in content["optimizer_states"][0]["state"].values())
    assert not torch.equal(content["state_dict"]["network.head.final.weight"], head)
    assert (run / "metrics.1.csv").read_text() == earlier
    steps = [int(row["step"]) for row in csv.DictReader((run / "metrics.csv").open()) if row["train/loss"]]
    assert len(steps) == 2
    assert min(steps) >= 2
    assert len(streams) >= 3
    last, first = next(iter(streams[-1])), next(iter(streams[1]))
    assert not np.array_equal(last["points"], first["points"])  # it does not see the same windows again


def test_a_schedule_without_an_end_is_refused(runs, capsys):
    endless = ["--trainer.max_steps", "-1", "--trainer.max_time", "00:00:00:09"]  # lest a failure lasts for ever
    assert fit("backbone-tiny", *endless, "--run", "runs/endless") == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1
    assert said[0].startswith("train.py: error: the cosine schedule")
    assert "max_steps" in said[0]


REFUSED = {
    "nothing to go on from": (["--ckpt_path", "gone.ckpt"], 4, "no checkpoint at gone.ckpt"),
    "another network's": (["--ckpt_path", "runs/backbone-tiny/checkpoints/last.ckpt"], 4, "do not fit this config: "),
    "another size": (
        ["--model.init_args.config.backbone.dim", "80"],
        4,
        "backbone-tiny/checkpoints/last.ckpt does not",
    ),
    "heads": (["--model.init_args.config.mlsme.heads", "7"], 2, "96 is not a multiple of the number of heads 7"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_gets_one_sentence_and_spoils_nothing(runs, capsys, case):
    more, status, words = REFUSED[case]
    before = {path: path.read_bytes() for path in (runs / "sdtc-tiny").rglob("*.c*") if path.is_file()}
    assert any(path.name == "metrics.csv" for path in before)
    assert fit("sdtc-tiny", "--trainer.max_steps", "2", *more) == status
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train.py: error: ")]
    assert len(said) == 1
    assert words in said[0]
    assert len(said[0]) < 300
    assert {path: path.read_bytes() for path in before} == before


def test_as_a_script_from_anywhere(tmp_path):
    """The exit status is the process's, and there is no traceback."""
    command = [sys.executable, str(ROOT / "training" / "train.py"), "fit", "--config"]
    command += [str(ROOT / "training" / "configs" / "sdtc-tiny.yaml"), "--trainer.accelerator", "cpu"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": ""})
    assert done.returncode == 4
    assert "train.py: error: no checkpoint at runs/backbone-tiny/checkpoints/last.ckpt: give" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
