# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""An engine whose frames, crops and tokens stay in device memory, on whatever runtime.

A frame is uploaded once, its people's crops are cut there, their tokens written into a pool of slots; a window is a
row of slot numbers, and the graph gathers it. Keypoints are all that comes back.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sdtc_ros.engine.base import MAX_BATCH, MOVES, OUTPUTS, Cut, FloatArray, largest_batch, no_moves
from sdtc_ros.engine.graphs import INDEX, cut_grid, pool_name
from sdtc_ros.models.bundle import Bundle

Array = npt.NDArray[Any]
POOL_SLOTS = 64  # of a new pool; it doubles when it is full
CUT, ENCODER, TEMPORAL = "cut", "encoder", "temporal"


@dataclass(frozen=True)
class View:
    """Device memory: an array's first element, shape and type; `owner` keeps the memory alive."""

    pointer: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    owner: object

    def rows(self, start: int, count: int) -> View:
        """The part from row `start` on, `count` rows long."""
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        return View(self.pointer + start * row, (count, *self.shape[1:]), self.dtype, self.owner)


class Runtime(Protocol):
    """Memory of a device and the graphs cut, encoder and temporal (see `graphs`) on it; every call waits for its end.

    Raises UsageError where the device cannot do what is asked (no memory left, device lost).
    """

    providers: list[str]  # what it runs on, in its own words

    @property
    def identity(self) -> str:
        """Of what it has built, for keys of the cache; empty where it does not tell."""
        ...

    def dtype(self, graph: str, name: str) -> np.dtype[Any]:
        """The element type of a graph's input or output."""
        ...

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> View:
        """Device memory, its content unknown."""
        ...

    def upload(self, array: Array) -> View:
        """A copy of a host array in device memory."""
        ...

    def copy(self, source: View, target: View) -> None:
        """Device to device; the two are equally large and do not overlap."""
        ...

    def run(
        self, graph: str, inputs: Mapping[str, View | Array], outputs: Mapping[str, View | None]
    ) -> dict[str, Array]:
        """Run a graph; host arrays are copied in, an output with a View is written there, the others are returned."""
        ...


class TokenPool:
    """Slots in device memory, each for one crop's tokens; a slot is free again when its handle is dropped."""

    def __init__(self, runtime: Runtime, shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, Any]) -> None:
        self._runtime, self._shapes, self._dtypes = runtime, dict(shapes), dict(dtypes)
        self.free = np.ones(POOL_SLOTS, bool)
        self.tensors = self._room(POOL_SLOTS)

    def take(self, count: int) -> list[tuple[int, int]]:
        """`count` slots as runs (first slot, length): one run where there is one, or where growing can make one."""
        while True:
            starts, lengths = self._free_runs()
            fitting = np.flatnonzero(lengths >= count)
            if len(fitting):
                return [(int(starts[fitting[0]]), count)]
            if len(self.free) >= 4 * (len(self.free) - self.free.sum() + count):
                return self._pieces(starts, lengths, count)  # mostly free, but in pieces: growing would not end
            self._grow()

    def handle(self, slot: int) -> Slot:
        """Occupy a slot for as long as the handle lives."""
        self.free[slot] = False
        return Slot(self, slot)

    def _pieces(self, starts: Array, lengths: Array, count: int) -> list[tuple[int, int]]:
        runs = []
        for which in np.argsort(-lengths, kind="stable").tolist():
            length = min(int(lengths[which]), count)
            runs.append((int(starts[which]), length))
            count -= length
            if not count:
                break
        return runs

    def _free_runs(self) -> tuple[Array, Array]:
        edges = np.flatnonzero(np.diff(np.concatenate([[False], self.free, [False]]).astype(np.int8)))
        return edges[::2], edges[1::2] - edges[::2]

    def _grow(self) -> None:
        """Twice the slots; those in use keep their numbers."""
        old, used = self.tensors, len(self.free)
        new = self._room(2 * used)
        for name, tensor in old.items():
            self._runtime.copy(tensor, new[name].rows(0, used))
        self.tensors = new
        self.free = np.concatenate([self.free, np.ones(used, bool)])

    def _room(self, slots: int) -> dict[str, View]:
        return {
            name: self._runtime.allocate((slots, *shape), np.dtype(self._dtypes[name]))
            for name, shape in self._shapes.items()
        }


class Slot:
    """The tokens of one crop, in the pool."""

    __slots__ = ("_pool", "number")

    def __init__(self, pool: TokenPool, number: int) -> None:
        self._pool, self.number = pool, number

    def __del__(self) -> None:
        self._pool.free[self.number] = True


class DeviceEngine:
    """Engine over a runtime; see `Engine` and `CuttingEngine` for what its methods promise."""

    def __init__(self, bundle: Bundle, runtime: Runtime, max_batch: int = MAX_BATCH, precision: str = "fp32") -> None:
        """max_batch: larger batches run in chunks, and so do those whose windows would take more than WINDOW_BYTES.

        precision: of the runtime's graphs, to be told.
        """
        self._runtime = runtime
        self.max_batch = largest_batch(bundle.tokens, bundle.delta, max_batch)
        self.providers, self.precision = list(runtime.providers), precision
        self.identity = runtime.identity
        self._tokens, self._moves = list(bundle.tokens), bundle.moves
        dtypes = {name: runtime.dtype(ENCODER, name) for name in self._tokens}
        self._pool = TokenPool(runtime, bundle.tokens, dtypes)
        self._size = width, height = bundle.input_size
        self._crops = runtime.allocate((self.max_batch, height, width, 3), np.dtype(np.uint8))
        self._uploaded: dict[int, tuple[weakref.ref[Array], View]] = {}

    def encode(self, crops: npt.NDArray[np.uint8]) -> list[Slot]:
        """See Engine.encode."""
        slots: list[Slot] = []
        for start in range(0, len(crops), self.max_batch):
            slots += self._encode(crops[start : start + self.max_batch])
        return slots

    def encode_from(self, cuts: Sequence[Cut]) -> list[Slot]:
        """See CuttingEngine.encode_from."""
        slots: list[Slot] = []
        for chunk in _chunks(cuts, self.max_batch):
            done = 0
            for image, boxes in chunk:
                x, y = cut_grid(boxes, self._size)
                size = np.array(image.shape[:2], np.int64)
                inputs: dict[str, View | Array] = {"pixels": self._frame(image), "size": size, "x_32": x, "y_32": y}
                self._runtime.run(CUT, inputs, {"crops": self._crops.rows(done, len(boxes))})
                done += len(boxes)
            slots += self._encode(self._crops.rows(0, done))
        return slots

    def estimate(
        self, windows: Sequence[Sequence[Slot]], moves: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """See Engine.estimate."""
        inputs: dict[str, Array] = {INDEX: np.array([[slot.number for slot in window] for window in windows], np.int64)}
        if self._moves:
            inputs[MOVES] = no_moves(*inputs[INDEX].shape) if moves is None else moves
        starts = range(0, len(windows), self.max_batch)
        parts = [self._estimate({name: a[i : i + self.max_batch] for name, a in inputs.items()}) for i in starts]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _estimate(self, inputs: dict[str, Array]) -> tuple[FloatArray, FloatArray]:
        pools = {pool_name(name): tensor for name, tensor in self._pool.tensors.items()}
        found = self._runtime.run(TEMPORAL, {**pools, **inputs}, dict.fromkeys(OUTPUTS))
        return found["keypoints"], found["spread"]

    def _encode(self, crops: View | npt.NDArray[np.uint8]) -> list[Slot]:
        slots: list[Slot] = []
        done = 0
        for start, count in self._pool.take(crops.shape[0]):
            part = crops.rows(done, count) if isinstance(crops, View) else crops[done : done + count]
            outputs = {name: tensor.rows(start, count) for name, tensor in self._pool.tensors.items()}
            self._runtime.run(ENCODER, {"crops": part}, outputs)
            slots += [self._pool.handle(slot) for slot in range(start, start + count)]
            done += count
        return slots

    def _frame(self, image: npt.NDArray[np.uint8]) -> View:
        """The frame's pixels on the device, uploaded when first asked for and kept while the image lives."""
        key = id(image)
        known = self._uploaded.get(key)
        if known is not None and known[0]() is image:
            return known[1]
        view = self._runtime.upload(np.ascontiguousarray(image).reshape(-1, 3))
        uploaded = self._uploaded
        self._uploaded[key] = (weakref.ref(image, lambda _: uploaded.pop(key, None)), view)
        return view


def _chunks(cuts: Sequence[Cut], size: int) -> Iterator[list[Cut]]:
    """The same crops in lists of at most `size` of them."""
    chunk: list[Cut] = []
    room = size
    for image, boxes in cuts:
        while len(boxes):
            part, boxes = boxes[:room], boxes[room:]
            chunk.append((image, part))
            room -= len(part)
            if not room:
                yield chunk
                chunk, room = [], size
    if chunk:
        yield chunk
