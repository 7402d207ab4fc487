# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Synthetic clips rendered on the fly, as a Lightning data module.

Each loader worker keeps a pool of clips, takes one window from each in turn, and replaces a clip when it has given
`reuse` windows: rendering is then a small share of the work, and a batch still mixes many scenes. Every window follows
from its number alone, so that a stream can go on anywhere. Training seeds lie under 1e9, validation seeds from 1e9 on;
the demo and the benches use others.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from sdtc_ros.ground_truth.posetrack import parse_sequence
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.figures import Clip, SceneConfig, posetrack18_truth, render_clip
from training.data.loader import one_thread
from training.data.truth import ValidationTruth
from training.data.windows import Window, person_window

VALIDATION_SEED = 1_000_000_000
VALIDATION_FRAMES = 24
VALIDATION_KEYFRAMES = (4, 12, 20)  # the same for every delta, so that networks are compared on the same people


def usable_people(clip: Clip, frame: int, labelled: int = 5) -> list[int]:
    """People of a frame with at least `labelled` joints inside the image and at least 3 that can be seen."""
    height, width = clip.frames[0].shape[:2]
    inside = np.all((clip.keypoints[frame] >= 0) & (clip.keypoints[frame] <= (width - 1, height - 1)), axis=-1)
    seen = (clip.visible[frame] & inside).sum(axis=1) >= 3
    return np.flatnonzero(seen & (inside.sum(axis=1) >= labelled)).tolist()


class SyntheticWindows(IterableDataset[Window]):
    """An endless stream of training windows, fixed by `seed`, the process's `rank` and the loader's worker.

    It goes on after `skip` batches of `batch` windows, which the loader has taken from its workers in turn.
    """

    def __init__(
        self, scene: SceneConfig, size: tuple[int, int], delta: int, augmentation: Augmentation, seed: int,
        pool: int = 16, reuse: int = 32, rank: int = 0, batch: int = 1, skip: int = 0,
    ) -> None:  # fmt: skip
        self.scene, self.size, self.delta, self.augmentation = scene, size, delta, augmentation
        self.seed, self.pool, self.reuse, self.rank = seed, pool, reuse, rank
        self.batch, self.skip = batch, skip

    def __iter__(self) -> Iterator[Window]:
        cv2.setNumThreads(1)
        info = get_worker_info()
        number, workers = (info.id, info.num_workers) if info else (0, 1)
        worker = (number + self.skip) % workers  # the loader asks its first worker first, wherever it goes on
        given = self.batch * len(range(worker, self.skip, workers))
        pool: dict[int, tuple[int, Clip]] = {}  # slot -> how many clips it has had, and the one it has
        for n in itertools.count(given):
            turn, slot = divmod(n, self.pool)
            first = max(1, self.reuse * (slot + 1) // self.pool)  # the first clips end one by one, not all at once
            generation = (turn - first) // self.reuse + 1
            if slot not in pool or pool[slot][0] != generation:
                pool[slot] = generation, self._clip(worker, slot, generation)
            yield self._draw(pool[slot][1], np.random.default_rng([self.seed, self.rank, worker, 1, n]))

    def _clip(self, worker: int, slot: int, generation: int) -> Clip:
        """The slot's next clip with somebody in it who gives a window."""
        random = np.random.default_rng([self.seed, self.rank, worker, 0, slot, generation])
        while True:
            clip = render_clip(self.scene, int(random.integers(VALIDATION_SEED)))
            if any(usable_people(clip, frame) for frame in range(len(clip.frames))):
                return clip

    def _draw(self, clip: Clip, random: np.random.Generator) -> Window:
        people: list[int] = []
        while not people:
            frame = int(random.integers(len(clip.frames)))
            people = usable_people(clip, frame)
        person = people[int(random.integers(len(people)))]
        return person_window(clip, frame, person, self.delta, self.size, self.augmentation, random)


class SyntheticValidation(Dataset[Window]):
    """A fixed set of windows without augmentation, boxes from the truth: a few frames of each validation clip."""

    def __init__(self, scene: SceneConfig, size: tuple[int, int], delta: int, clips: int) -> None:
        self.windows: list[Window] = []
        sequences, places = [], []
        random = np.random.default_rng(0)
        for number in range(clips):
            clip = render_clip(replace(scene, frames=VALIDATION_FRAMES), VALIDATION_SEED + number)
            sequence = parse_sequence(posetrack18_truth(clip, f"{number}"), Path(f"{number}"))
            sequence.frames = [sequence.frames[frame] for frame in VALIDATION_KEYFRAMES]
            sequences.append(sequence)
            for place, frame in enumerate(VALIDATION_KEYFRAMES):
                for person in usable_people(clip, frame):
                    places.append((number, place))
                    sample = len(self.windows)
                    window = person_window(clip, frame, person, delta, size, NO_AUGMENTATION, random, sample=sample)
                    self.windows.append(window)
        where = np.array(places, np.int64).reshape(-1, 2)
        self.truth = ValidationTruth("posetrack18", sequences, where[:, 0], where[:, 1], np.ones(len(where)))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Window:
        return self.windows[index]


@dataclass
class SyntheticConfig:
    """What is rendered and how it is batched: `size` is the crop's (width, height), `reuse` counts a clip's windows."""

    scene: SceneConfig = field(default_factory=SceneConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    size: tuple[int, int] = (192, 256)
    delta: int = 2
    batch: int = 32
    workers: int = 1
    pool: int = 16
    reuse: int = 32
    validation_clips: int = 40
    seed: int = 0


class SyntheticData(lightning.LightningDataModule):
    """Training windows without end (set the trainer's max_steps or max_time) and a fixed validation set.

    `boxes` says which boxes validation crops by.
    """

    boxes = "ground-truth boxes"

    def __init__(self, config: SyntheticConfig) -> None:
        super().__init__()
        self.config = config
        self._validation: SyntheticValidation | None = None

    def train_dataloader(self) -> DataLoader[Window]:
        """Batches of the endless stream; a resumed run goes on where it stopped."""
        c = self.config
        steps, rank, parts = 0, 0, 1
        if self.trainer:
            steps, rank = self.trainer.global_step, self.trainer.global_rank
            parts = self.trainer.accumulate_grad_batches
        stream = SyntheticWindows(
            c.scene, c.size, c.delta, c.augmentation, c.seed, c.pool, c.reuse, rank, c.batch, steps * parts
        )
        if c.workers:
            one_thread()
        return DataLoader(
            stream, batch_size=c.batch, num_workers=c.workers, persistent_workers=c.workers > 0,
            prefetch_factor=4 if c.workers else None, pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # its own: torch's stays as a checkpoint has it
        )  # fmt: skip

    def val_dataloader(self) -> DataLoader[Window]:
        """The fixed validation windows."""
        return DataLoader(self._validation_set(), batch_size=64, generator=torch.Generator())

    def validation_truth(self) -> ValidationTruth:
        """What validation's AP is measured against."""
        return self._validation_set().truth

    def _validation_set(self) -> SyntheticValidation:
        """Rendered once."""
        if self._validation is None:
            c = self.config
            self._validation = SyntheticValidation(c.scene, c.size, c.delta, c.validation_clips)
        return self._validation
