"""The order of training samples, fixed by a seed, and a loader that goes on in the middle of an epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
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
        order = self.order()
        padded = np.resize(order, self.total_size)[self.rank :: self.num_replicas]
        skip, self.skip = self.skip, 0
        return iter([(self.epoch, i) for i in padded[skip:].tolist()])

    def order(self) -> IntArray:
        """This epoch's order over all processes."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(len(self.dataset))  # type: ignore[arg-type]


class ResumableLoader(DataLoader[Window]):
    """A training loader whose state is the epoch and the batches it has given; Lightning keeps it in checkpoints."""

    def __init__(self, dataset: Dataset[Window], order: SeededOrder, batch: int, workers: int, pin: bool) -> None:
        super().__init__(
            dataset, batch_size=batch, sampler=order, num_workers=workers, persistent_workers=workers > 0,
            prefetch_factor=4 if workers else None, pin_memory=pin, drop_last=True, worker_init_fn=one_thread,
        )  # fmt: skip
        self._given = 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Lazily: Lightning makes the iterator before it tells the order which epoch it is."""
        order = self.sampler
        assert isinstance(order, SeededOrder) and self.batch_size is not None
        self._given = order.skip // self.batch_size
        for batch in super().__iter__():
            self._given += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Where it stands."""
        return {"batches": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on there: the next pass leaves out the batches that were given already."""
        assert isinstance(self.sampler, SeededOrder) and self.batch_size is not None
        self.sampler.skip = state["batches"] * self.batch_size


def one_thread(worker: int) -> None:
    """Loader workers are the parallelism: OpenCV's own threads would only get in their way."""
    cv2.setNumThreads(1)
