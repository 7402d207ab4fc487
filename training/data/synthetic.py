"""Synthetic clips rendered on the fly, as a Lightning data module.

Each loader worker keeps a pool of clips, draws windows from random ones, and replaces a clip when it has given as many
windows as it has people times `reuse` frames: rendering is then a small share of the work, and a batch still mixes
many scenes. Training seeds lie under 1e9, validation seeds from 1e9 on; the demo and the benches use others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import cv2
import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from sdtc_ros.synthetic import Clip, SceneConfig, render_clip
from training.data.augment import NO_AUGMENTATION, Augmentation
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


@dataclass
class _Pooled:
    clip: Clip
    left: int  # windows it may still give


class SyntheticWindows(IterableDataset[Window]):
    """An endless stream of training windows; `seed`, the process's rank and the worker's number fix the stream."""

    def __init__(
        self, scene: SceneConfig, size: tuple[int, int], delta: int, augmentation: Augmentation, seed: int,
        pool: int = 16, reuse: float = 8.0, rank: int = 0,
    ) -> None:  # fmt: skip
        self.scene, self.size, self.delta, self.augmentation = scene, size, delta, augmentation
        self.seed, self.pool, self.reuse, self.rank = seed, pool, reuse, rank

    def __iter__(self) -> Iterator[Window]:
        cv2.setNumThreads(1)
        worker = get_worker_info()
        random = np.random.default_rng([self.seed, self.rank, worker.id if worker else 0])
        pool: list[_Pooled] = []
        while True:
            if len(pool) < self.pool:
                pool.append(self._new_clip(random, first=len(pool)))
            slot = int(random.integers(len(pool)))
            window = self._draw(pool[slot].clip, random)
            pool[slot].left -= 1
            if pool[slot].left <= 0:
                pool[slot] = self._new_clip(random)
            if window is not None:
                yield window

    def _new_clip(self, random: np.random.Generator, first: int | None = None) -> _Pooled:
        clip = render_clip(self.scene, int(random.integers(VALIDATION_SEED)))
        windows = int(self.reuse * len(clip.track_ids))
        if first is not None:  # the first clips end one by one, not all in one step
            windows = max(1, windows * (first + 1) // self.pool)
        return _Pooled(clip, windows)

    def _draw(self, clip: Clip, random: np.random.Generator) -> Window | None:
        frame = int(random.integers(len(clip.frames)))
        people = usable_people(clip, frame)
        if not people:
            return None
        person = people[int(random.integers(len(people)))]
        return person_window(clip, frame, person, self.delta, self.size, self.augmentation, random)


class SyntheticValidation(Dataset[Window]):
    """A fixed set of windows without augmentation, boxes from the truth: a few frames of each validation clip."""

    def __init__(self, scene: SceneConfig, size: tuple[int, int], delta: int, clips: int) -> None:
        self.windows: list[Window] = []
        random = np.random.default_rng(0)
        for number in range(clips):
            clip = render_clip(replace(scene, frames=VALIDATION_FRAMES), VALIDATION_SEED + number)
            for frame in VALIDATION_KEYFRAMES:
                for person in usable_people(clip, frame):
                    window = person_window(clip, frame, person, delta, size, NO_AUGMENTATION, random)
                    self.windows.append(window)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Window:
        return self.windows[index]


@dataclass
class SyntheticConfig:
    """What is rendered and how it is batched. `size` is the crop's (width, height)."""

    scene: SceneConfig = field(default_factory=SceneConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    size: tuple[int, int] = (192, 256)
    delta: int = 2
    batch: int = 32
    workers: int = 1
    pool: int = 16
    reuse: float = 8.0
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
        """Batches of the endless stream; a resumed run goes on with a stream of its own (the step is in the seed)."""
        c = self.config
        step, rank = (self.trainer.global_step, self.trainer.global_rank) if self.trainer else (0, 0)
        stream = SyntheticWindows(c.scene, c.size, c.delta, c.augmentation, c.seed + step, c.pool, c.reuse, rank)
        return DataLoader(
            stream, batch_size=c.batch, num_workers=c.workers, persistent_workers=c.workers > 0,
            prefetch_factor=4 if c.workers else None, pin_memory=torch.cuda.is_available(),
        )  # fmt: skip

    def val_dataloader(self) -> DataLoader[Window]:
        """The fixed validation windows, rendered once."""
        if self._validation is None:
            c = self.config
            self._validation = SyntheticValidation(c.scene, c.size, c.delta, c.validation_clips)
        return DataLoader(self._validation, batch_size=64)
