# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The order of training samples, fixed by a seed, and a loader that goes on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from training.data.windows import Window

IntArray = npt.NDArray[np.int64]


class SeededOrder(DistributedSampler[Any]):
    """Items (epoch, i) in an order that (seed, epoch) fixes; each of `ranks` processes takes every ranks-th.

    All processes get as many: the last few of the order repeat its first. A subclass of torch's DistributedSampler, so
    that Lightning sets the epoch and puts no second one around it.
    """

    def __init__(self, dataset: Sized, seed: int, ranks: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, ranks, rank, shuffle=True, seed=seed)  # type: ignore[arg-type]
        self.skip = 0  # items of the next pass that an interrupted run has seen already

    def __iter__(self) -> Iterator[Any]:
        skip, self.skip = self.skip, 0
        return iter([(self.epoch, i) for i in self.mine(self.order())[skip:].tolist()])

    def order(self) -> IntArray:
        """This epoch's order over all processes."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.dataset))  # type: ignore[arg-type]

    def mine(self, order: IntArray) -> IntArray:
        """This process's part of it."""
        return np.resize(order, self.total_size)[self.rank :: self.num_replicas]


class NearbyOrder(SeededOrder):
    """An order in which windows that share frames come to the same loader worker soon after each other.

    `runs` are samples of neighbouring keyframes; `mixed` runs, drawn from anywhere, are shuffled together, and each
    worker gets whole batches of such mixtures. Every sample still comes once an epoch.
    """

    def __init__(
        self, dataset: Sized, seed: int, runs: list[IntArray], mixed: int, batch: int, workers: int,
        ranks: int = 1, rank: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(dataset, seed, ranks, rank)
        self.runs, self.mixed, self.batch, self.workers = runs, mixed, batch, max(1, workers)

    def order(self) -> IntArray:
        """Mixture after mixture."""
        random = np.random.default_rng([self.seed, self.epoch])
        shuffled = [self.runs[i] for i in random.permutation(len(self.runs))]
        mixtures = [np.concatenate(shuffled[i : i + self.mixed]) for i in range(0, len(shuffled), self.mixed)]
        return np.concatenate([random.permutation(mixture) for mixture in mixtures])

    def mine(self, order: IntArray) -> IntArray:
        """A stretch of the order for every worker, dealt out batch by batch, as torch deals batches to workers."""
        parts = np.array_split(
            np.array_split(np.resize(order, self.total_size), self.num_replicas)[self.rank], self.workers
        )
        full = min(map(len, parts)) // self.batch * self.batch
        dealt = np.stack([part[:full].reshape(-1, self.batch) for part in parts], axis=1).ravel()
        return np.concatenate([dealt, *(part[full:] for part in parts)])


class ResumableLoader(DataLoader[Window]):
    """A training loader whose state is the epoch and the batches it has given; Lightning keeps it in checkpoints."""

    def __init__(self, dataset: Dataset[Window], order: SeededOrder, batch: int, workers: int, pin: bool) -> None:
        super().__init__(
            dataset, batch_size=batch, sampler=order, num_workers=workers, persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None, pin_memory=pin, drop_last=True, worker_init_fn=one_thread,
            generator=torch.Generator(),  # its own: torch's stays as a checkpoint has it
        )  # fmt: skip
        self._given = 0
        self._stopped = {"epoch": 0, "batches": 0}

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Lazily: Lightning makes the iterator before it tells the order which epoch it is."""
        order, stopped = self._order(), self._stopped
        self._given = stopped["batches"] if stopped["epoch"] == order.epoch else 0
        self._stopped = {"epoch": 0, "batches": 0}
        order.skip = self._given * (self.batch_size or 1)
        if self.num_workers:
            one_thread()
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where it stands."""
        return {"epoch": self._order().epoch, "batches": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there: the next pass, if it is of the same epoch, leaves out the batches that were given already."""
        self._stopped = dict(state)

    def _order(self) -> SeededOrder:
        assert isinstance(self.sampler, SeededOrder)
        return self.sampler


def one_thread(worker: int = 0) -> None:
    """Keep OpenCV to one thread: loader workers are the parallelism, its own threads would only get in their way.

    Called before workers are forked too: a child that ends the threads of a pool that it inherited crashes or hangs.
    """
    cv2.setNumThreads(1)
