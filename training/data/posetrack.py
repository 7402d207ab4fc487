# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""PoseTrack17, 18, 21 and HiEve as a Lightning data module, `class_path: training.data.posetrack.PoseTrackData`.

Where the files are expected: training/data/layout.py and docs/data.md.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader

from sdtc_ros.errors import UsageError
from training.data import summary as reasons
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.clips import RUN, ClipDataset
from training.data.detections import Samples, annotated_samples, match_detections
from training.data.index import Index, build_index
from training.data.layout import Layout, find_layout
from training.data.loader import NearbyOrder, ResumableLoader, SeededOrder, one_thread
from training.data.truth import ValidationTruth
from training.data.windows import Window


@dataclass
class PoseTrackConfig:
    """Which data, and how it is batched.

    root: the data set's folder; images: where its images are, if elsewhere. hold_out: every n-th sequence of the
    training split validates (HiEve publishes no validation split); 0: val_split does. boxes: a file or folder of
    detector boxes to validate on (training/data/detections.py), those scored under min_score dropped; None: the
    annotated boxes. size is the crop's (width, height); min_joints: people with fewer labelled joints give no window;
    cache: decoded frames that each worker keeps.

    mixed: 0 draws every batch from all of the data, as the papers do; n draws it from n stretches of 8 neighbouring
    keyframes at a time, whose decoded frames the workers keep: for GPUs that the loader cannot feed otherwise.
    """

    root: str
    dataset: Literal["posetrack17", "posetrack18", "posetrack21", "hieve"] = "posetrack18"
    images: str | None = None
    train_split: str = "train"
    val_split: str = "val"
    hold_out: int = 0
    boxes: str | None = None
    min_score: float = 0.2
    min_joints: int = 3
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(shift=0.0))
    size: tuple[int, int] = (192, 256)
    delta: int = 2
    batch: int = 32
    val_batch: int = 64
    workers: int = 8
    cache: int = 32
    mixed: int = 0
    seed: int = 0


class PoseTrackData(lightning.LightningDataModule):
    """Windows of annotated people. `boxes` says which boxes validation crops by, for whoever prints its figures."""

    def __init__(self, config: PoseTrackConfig) -> None:
        super().__init__()
        self.config = config
        self.boxes = "ground-truth boxes"
        self.train_set: ClipDataset | None = None
        self.val_set: ClipDataset | None = None

    def setup(self, stage: str) -> None:
        """Read the annotations that the stage needs; raises InputError that says what is missing where."""
        if stage == "fit" and self.train_set is None:
            index = self._index(self._layout(self.config.train_split, held_out=False))
            self.train_set = self._dataset(index, self.config.augmentation)
        if stage in ("fit", "validate") and self.val_set is None:
            split = self.config.train_split if self.config.hold_out else self.config.val_split
            index = self._index(self._layout(split, held_out=True))
            samples: Samples = annotated_samples(index)
            if self.config.boxes is not None:
                samples = match_detections(index, Path(self.config.boxes), self.config.min_score)
            self.boxes = samples.source
            self.val_set = ClipDataset(
                index, self.config.size, self.config.delta, NO_AUGMENTATION, 0, samples, self.config.cache
            )
            rank_zero_info(f"validation crops by {self.boxes}")

    def train_dataloader(self) -> DataLoader[Window]:
        """All training windows in an order that the seed and the epoch fix; goes on in the middle of an epoch."""
        assert self.train_set is not None
        c, trainer = self.config, self.trainer
        ranks, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        if c.mixed:
            runs = self.train_set.runs()
            order: SeededOrder = NearbyOrder(self.train_set, c.seed, runs, c.mixed, c.batch, c.workers, ranks, rank)
        else:
            order = SeededOrder(self.train_set, c.seed, ranks, rank)
        if len(order) < c.batch:
            raise UsageError(f"a batch of {c.batch} windows exceeds the {len(order)} available per process")
        return ResumableLoader(self.train_set, order, c.batch, c.workers, torch.cuda.is_available())

    def val_dataloader(self) -> DataLoader[Window]:
        """Every validation window once."""
        assert self.val_set is not None
        c = self.config
        if c.workers:
            one_thread()
        return DataLoader(
            self.val_set, batch_size=c.val_batch, num_workers=c.workers, persistent_workers=c.workers > 0,
            pin_memory=torch.cuda.is_available(), worker_init_fn=one_thread,
        )  # fmt: skip

    def validation_truth(self) -> ValidationTruth:
        """What validation's AP is measured against."""
        assert self.val_set is not None
        return self.val_set.truth()

    def teardown(self, stage: str) -> None:
        """Tell which images could not be read."""
        broken = [path for data in (self.train_set, self.val_set) if data is not None for path in data.unreadable()]
        if broken:
            named = ", ".join(map(str, broken[:5])) + (", ..." if len(broken) > 5 else "")
            warnings.warn(f"{len(broken)} {reasons.UNREADABLE}: {named}", stacklevel=2)

    def _layout(self, split: str, held_out: bool) -> Layout:
        c = self.config
        layout = find_layout(Path(c.root), split, c.dataset, Path(c.images) if c.images else None)
        if not c.hold_out:
            return layout
        if not 2 <= c.hold_out <= len(layout.files):
            raise UsageError(
                f"hold_out must be 2 to {len(layout.files)} (the sequences there are), or 0, but is {c.hold_out}"
            )
        # the last of every n
        kept = (file for i, file in enumerate(layout.files) if (i % c.hold_out == c.hold_out - 1) == held_out)
        return replace(layout, files=tuple(kept))

    def _index(self, layout: Layout) -> Index:
        index = build_index(layout, self.config.min_joints)
        network = getattr(self.trainer.lightning_module, "network", None) if self.trainer else None
        if network is not None and network.skeleton.name != index.skeleton.name:
            raise UsageError(
                f"{layout.dataset} has the {index.skeleton.name} skeleton, but the network's is "
                f"{network.skeleton.name}: set model.init_args.config.skeleton to {index.skeleton.name}"
            )
        rank_zero_info(index.summary.headline())
        return index

    def _dataset(self, index: Index, augmentation: Augmentation) -> ClipDataset:
        c = self.config
        frames = c.mixed * (RUN + 2 * c.delta)  # of a mixture
        return ClipDataset(index, c.size, c.delta, augmentation, c.seed, cache=max(c.cache, frames))
