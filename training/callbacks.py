# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What Lightning calls while a network trains: curves, the newest state on disk, the share of time spent waiting.

Curves: a run's CSV log, losses and validation accuracy against steps, as one PNG beside the log. LastCheckpoint: what a
run needs to go on as if it had never stopped. Waiting: 0 where the loader keeps up.
"""

from __future__ import annotations

import csv
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import lightning
import torch
from lightning.pytorch.callbacks import Callback

from training.data.sheet import prediction_sheet
from training.module import PoseTraining

Points = list[tuple[int, float]]
Series = dict[str, Points]


def read_log(path: Path) -> Series:
    """metrics.csv of Lightning's CSVLogger -> (step, value) pairs by column; empty cells are left out."""
    series: Series = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if value and name not in ("step", "epoch"):
                    series[name].append((int(row["step"]), float(value)))
    return series


def keep_earlier_log(folder: Path) -> None:
    """Move metrics.csv aside as metrics.1.csv, metrics.2.csv ...: Lightning's logger deletes it when a run resumes."""
    log = folder / "metrics.csv"
    if log.exists():
        number = 1
        while (folder / f"metrics.{number}.csv").exists():
            number += 1
        log.rename(folder / f"metrics.{number}.csv")


def read_logs(folder: Path) -> Series:
    """All parts of a run's log, in the order in which they were written; a later part replaces what it repeats."""
    series: Series = {}
    for part in [*sorted(folder.glob("metrics.*.csv"), key=lambda p: int(p.suffixes[0][1:])), folder / "metrics.csv"]:
        if part.exists():
            for name, points in read_log(part).items():
                kept = [p for p in series.get(name, []) if p[0] < points[0][0]]
                series[name] = kept + points
    return series


def plot_curves(series: Series, path: Path, title: str, boxes: str = "ground-truth boxes") -> None:
    """Draw training losses (logarithmic), validation PCKh and AP by joint group into a PNG; it says on which boxes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    measures = {"val/pckh_": "PCKh@0.5"}
    if any(name.startswith("val/ap_") for name in series):
        measures["val/ap_"] = "AP"
    size = (6 * (1 + len(measures)), 4.5)
    figure, (losses, *others) = pyplot.subplots(1, 1 + len(measures), figsize=size, constrained_layout=True)
    for name, points in sorted(series.items()):
        if name.startswith("train/") and name != "train/wait" and any(value > 0 for _, value in points):
            losses.plot(*zip(*points, strict=True), label=name.removeprefix("train/"), linewidth=1)
    losses.set(yscale="log", xlabel="step", title="training losses")
    for axes, (prefix, measure) in zip(others, measures.items(), strict=True):
        for name, points in sorted(series.items()):
            if name.startswith(prefix):
                _plot_group(axes, name.removeprefix(prefix), points)
        axes.set(ylim=(0, 100), xlabel="step", title=f"validation {measure} (%), {boxes}")
    for axes in (losses, *others):
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8, ncols=2)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _plot_group(axes: Any, group: str, points: Points) -> None:
    """One joint group's line; the one over all joints is thick and black."""
    style: dict[str, Any] = {"linewidth": 2.5, "color": "black"} if group in ("all", "total") else {"linewidth": 1}
    axes.plot(*zip(*points, strict=True), label=f"{group} {points[-1][1]:.1f}", marker=".", **style)


class Curves(Callback):
    """Redraws `curves.png` and `samples.png` in the run's folder after every validation."""

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Plot what the CSV log holds so far."""
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        for logger in trainer.loggers:
            if isinstance(logger, lightning.pytorch.loggers.CSVLogger):
                logger.save()
                folder = Path(logger.log_dir)
                title = f"{type(module).__name__}, {folder}"
                boxes = getattr(getattr(trainer, "datamodule", None), "boxes", "boxes as the data gives them")
                plot_curves(read_logs(folder), folder / "curves.png", title, boxes)
                self._show_samples(trainer, module, folder)

    def _show_samples(self, trainer: lightning.Trainer, module: lightning.LightningModule, folder: Path) -> None:
        """The first validation windows, labels beside predictions, as a picture and in TensorBoard."""
        if not isinstance(module, PoseTraining) or not module.validation.shown:
            return
        sheet = prediction_sheet(module.validation.shown, module.network.skeleton)
        cv2.imwrite(str(folder / "samples.png"), sheet)
        for logger in trainer.loggers:
            if isinstance(logger, lightning.pytorch.loggers.TensorBoardLogger):
                logger.experiment.add_image("samples", sheet[..., ::-1].copy(), trainer.global_step, dataformats="HWC")


class LastCheckpoint(Callback):
    """Keeps `last.ckpt`: the newest state at every validation and at the end (Lightning's own may lag behind both).

    With it goes the state of torch's random numbers (masks, drop path), which is restored when training goes on.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "last.ckpt"
        self._random: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """torch's random state, of the CPU and of every GPU; all processes draw alike, so one's is everybody's."""
        return {"cpu": torch.get_rng_state(), "cuda": torch.cuda.get_rng_state_all()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep it until training starts, for building and moving the network draws random numbers too."""
        self._random = state_dict

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go on with the random numbers of the checkpoint."""
        if self._random is not None:
            torch.set_rng_state(self._random["cpu"].cpu())
            for device, state in enumerate(self._random["cuda"][: torch.cuda.device_count()]):
                torch.cuda.set_rng_state(state.cpu(), device)
            self._random = None

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save after a validation of a fit."""
        if trainer.state.fn == "fit":
            self._save(trainer)

    def on_train_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Save the last step's state."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.path, weights_only=False)  # with the optimiser


class Waiting(Callback):
    """Logs `train/wait`: since the last log, the share of time between a step's end and the next one's start.

    On a GPU a step's end is when its work has been given to the GPU; the loss that is logged makes it wait for that now
    and then, so the share is right over many steps only. Validation is left out.
    """

    def __init__(self) -> None:
        self._ended: float | None = None
        self._waited = self._total = 0.0

    def on_train_batch_start(self, trainer: lightning.Trainer, module: Any, batch: Any, index: int) -> None:
        """The batch is here."""
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, index: int
    ) -> None:
        """Add the step up."""
        now = time.perf_counter()
        if self._ended is not None:
            self._waited += self._started - self._ended
            self._total += now - self._ended
        self._ended = now
        if (index + 1) % trainer.log_every_n_steps == 0 and self._total > 0:  # type: ignore[attr-defined]
            module.log("train/wait", self._waited / self._total)
            self._waited = self._total = 0.0

    def on_validation_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """What comes now is no waiting for training data."""
        self._ended = None
