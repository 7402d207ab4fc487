# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Windows of one short clip of people, the one that ships with sdtc_ros's demo, as a Lightning data module.

Nothing has to be rendered or downloaded, so a network can be trained on any machine, to see that it learns and what a
step costs. Five people over five seconds teach it little about others: to learn from, render windows
(`python -m training.data render windows`, training.data.people_windows) or a longer clip (`render demo --frames 2000`)
that `clip` names.

Every window follows from its number alone, so that a stream can go on anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import lightning
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from sdtc_ros.demo.clip import Clip, clip_sequence, demo_clip, read_clip
from sdtc_ros.errors import UsageError
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.loader import one_thread
from training.data.truth import ValidationTruth
from training.data.windows import Window, person_window

KEYFRAME_EVERY = 4  # of the frames held out for validation, the same for every delta: networks see the same people
_MARGIN = 4  # frames before the first and after the last keyframe, so that windows are whole up to this delta


def usable_people(clip: Clip, frame: int, labelled: int = 5) -> list[int]:
    """People of a frame with at least `labelled` joints inside the image and at least 3 that can be seen."""
    height, width = clip.frames[0].shape[:2]
    inside = np.all((clip.keypoints[frame] >= 0) & (clip.keypoints[frame] <= (width - 1, height - 1)), axis=-1)
    seen = (clip.visible[frame] & inside).sum(axis=1) >= 3
    return np.flatnonzero(seen & (inside.sum(axis=1) >= labelled)).tolist()


def split_clip(path: str, held_out: int) -> tuple[Clip, Clip]:
    """What is trained on, and the last `held_out` frames, which are validated on, of a clip ("": the one that ships).

    Raises UsageError where one of the two would have no window, InputError for a file that is no clip.
    """
    clip = read_clip(Path(path)) if path else demo_clip()
    cut = len(clip.frames) - held_out
    parts = clip.part(0, max(cut, 0)), clip.part(max(cut, 0), len(clip.frames))
    if not all(any(usable_people(part, frame) for frame in range(len(part.frames))) for part in parts):
        raise UsageError(f"held_out: {held_out} of the clip's {len(clip.frames)} frames leave nobody on one side")
    return parts


class DemoWindows(IterableDataset[Window]):
    """An endless stream of training windows, fixed by `seed`, the process's `rank` and the loader's worker.

    It goes on after `skip` batches of `batch` windows, which the loader has taken from its workers in turn.
    """

    def __init__(
        self, clip: Clip, size: tuple[int, int], delta: int, augmentation: Augmentation, seed: int, rank: int = 0,
        batch: int = 1, skip: int = 0,
    ) -> None:  # fmt: skip
        self.clip, self.size, self.delta, self.augmentation = clip, size, delta, augmentation
        self.seed, self.rank, self.batch, self.skip = seed, rank, batch, skip
        self.places = [(frame, p) for frame in range(len(clip.frames)) for p in usable_people(clip, frame)]

    def __iter__(self) -> Iterator[Window]:
        cv2.setNumThreads(1)
        info = get_worker_info()
        number, workers = (info.id, info.num_workers) if info else (0, 1)
        worker = (number + self.skip) % workers  # the loader asks its first worker first, wherever it goes on
        given = self.batch * len(range(worker, self.skip, workers))
        for n in itertools.count(given):
            random = np.random.default_rng([self.seed, self.rank, worker, n])
            frame, person = self.places[int(random.integers(len(self.places)))]
            yield person_window(self.clip, frame, person, self.delta, self.size, self.augmentation, random)


class DemoValidation(Dataset[Window]):
    """A fixed set of windows without augmentation, boxes from the truth: everybody in every fourth frame of a clip."""

    def __init__(self, clip: Clip, size: tuple[int, int], delta: int) -> None:
        self.windows: list[Window] = []
        sequence = clip_sequence(clip, "clip", "clip")
        keyframes = range(_MARGIN, max(len(clip.frames) - _MARGIN, _MARGIN + 1), KEYFRAME_EVERY)
        sequence.frames = [sequence.frames[frame] for frame in keyframes]
        random, places = np.random.default_rng(0), []
        for place, frame in enumerate(keyframes):
            for person in usable_people(clip, frame):
                places.append(place)
                sample = len(self.windows)
                window = person_window(clip, frame, person, delta, size, NO_AUGMENTATION, random, sample=sample)
                self.windows.append(window)
        where = np.array(places, np.int64)
        self.truth = ValidationTruth("posetrack18", [sequence], np.zeros_like(where), where, np.ones(len(where)))

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, index: int) -> Window:
        return self.windows[index]


@dataclass
class ClipConfig:
    """Which clip, and how it is cut and batched: `size` is the crop's (width, height) in pixels.

    clip: a file that `python -m training.data render demo` wrote; empty: the one that ships. held_out: frames at its
    end to validate on.
    """

    clip: str = ""
    held_out: int = 24
    augmentation: Augmentation = field(default_factory=Augmentation)
    size: tuple[int, int] = (192, 256)
    delta: int = 2
    batch: int = 32
    seed: int = 0


@dataclass
class DemoConfig(ClipConfig):
    """workers: processes that cut windows while the network trains."""

    workers: int = 1


class DemoData(lightning.LightningDataModule):
    """Training windows without end (set the trainer's max_steps or max_time) and a fixed validation set.

    `boxes` says which boxes validation crops by.
    """

    boxes = "ground-truth boxes"

    def __init__(self, config: DemoConfig) -> None:
        super().__init__()
        self.config = config
        self._parts: tuple[Clip, Clip] | None = None
        self._validation: DemoValidation | None = None

    def train_dataloader(self) -> DataLoader[Window]:
        """Batches of the endless stream; a resumed run goes on where it stopped."""
        c = self.config
        steps, rank, parts = 0, 0, 1
        if self.trainer:
            steps, rank = self.trainer.global_step, self.trainer.global_rank
            parts = self.trainer.accumulate_grad_batches
        stream = DemoWindows(self._clips()[0], c.size, c.delta, c.augmentation, c.seed, rank, c.batch, steps * parts)
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

    def _clips(self) -> tuple[Clip, Clip]:
        """Read once: to train on, to validate on."""
        if self._parts is None:
            self._parts = split_clip(self.config.clip, self.config.held_out)
        return self._parts

    def _validation_set(self) -> DemoValidation:
        """Cut once."""
        if self._validation is None:
            self._validation = DemoValidation(self._clips()[1], self.config.size, self.config.delta)
        return self._validation
