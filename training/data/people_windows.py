# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Rendered windows of people as a Lightning data module for the stages of training.movenet_module.

The folders are those that `python -m training.data render windows` fills (format: training.synthetic.shards). Stages
"trunk" and "gate" draw single frames and corrupt them anew each time. Stage "temporal" needs the trunk's answers to
whole windows, five passes each: they are computed once for a few draws of corruption and cached, as
`training.data.cached` does it for SDTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sdtc_ros.errors import InputError
from sdtc_ros.skeleton import Skeleton
from training.data.cached import make_once
from training.data.corrupt import Corruption, corrupt, flip, restyle, shake
from training.data.loader import ResumableLoader, SeededOrder
from training.models.frozen import FrozenGraph
from training.models.sdtc_movenet import Seen
from training.synthetic.shards import read_shard

Array = npt.NDArray[Any]
Batch = dict[str, Array]

VERSION = 1  # of what lies in a cache folder: part of its name
VALIDATION_DRAW = 1_000_000
NEEDED = ("jpeg", "offsets", "joints", "visibility")  # of a shard
IN_TIME: tuple[
    tuple[float, tuple[int, ...]], ...
] = (  # which frame stands for which of five, and how often: what a robot's window looks like
    (0.46, (0, 1, 2, 3, 4)),
    (0.33, (0, 1, 2, 2, 2)),  # nothing beyond the keyframe yet
    (0.10, (0, 1, 2, 3, 3)),
    (0.05, (2, 2, 2, 3, 4)),  # the track begins
    (0.06, (2, 2, 2, 2, 2)),
)


@dataclass
class PeopleWindowsConfig:
    """Where the windows lie, and how they are drawn.

    cache: the folder of the trunk's cached answers; draws: of corruption for each window; size: a crop's (width,
    height); missed: how often a frame of the window is missing, the nearest one in its place.
    """

    train: str = "runs/windows/train"
    validation: str = "runs/windows/val"
    cache: str = "runs/cached-trunk"
    draws: int = 2
    corruption: Corruption = field(default_factory=Corruption)
    missed: float = 0.1
    size: tuple[int, int] = (192, 256)
    delta: int = 2
    batch: int = 24
    workers: int = 0
    seed: int = 0


def window_files(folder: Path | str) -> list[Path]:
    """The shards of a folder in order; InputError where there is none."""
    files = sorted(Path(folder).glob("windows-*.npz"))
    if not files:
        raise InputError(f"{folder} contains no windows: render some with `python -m training.data render windows`")
    return files


class Draw(NamedTuple):
    """Frames of a window: images t x H x W x 3 corrupted and before that, points t x K x 2, weight t x K."""

    images: Array
    clean: Array
    points: Array
    weight: Array


class Windows:
    """All windows of a folder in memory, compressed, and corrupted draws of them."""

    def __init__(self, folder: Path | str, skeleton: Skeleton, config: PeopleWindowsConfig) -> None:
        self.shards = [read_shard(path, NEEDED) for path in window_files(folder)]
        self.places = [(shard, n) for shard, arrays in enumerate(self.shards) for n in range(len(arrays["joints"]))]
        self.frames = self.shards[0]["joints"].shape[1]
        if self.frames != 2 * config.delta + 1:
            raise InputError(f"{folder} holds windows of {self.frames} frames, not of {2 * config.delta + 1}")
        self.pairs, self.config = skeleton.flip_pairs, config

    def __len__(self) -> int:
        return len(self.places)

    def images(self, number: int, frames: Iterable[int]) -> Array:
        """Some frames of window `number`, t x H x W x 3 uint8 BGR."""
        shard, window = self.places[number]
        offsets, jpeg = self.shards[shard]["offsets"][window * self.frames :], self.shards[shard]["jpeg"]
        return np.stack([_picture(jpeg[offsets[t] : offsets[t + 1]]) for t in frames])

    def draw(self, number: int, frames: Sequence[int], random: np.random.Generator) -> Draw:
        """Some frames of window `number`, shaken and corrupted."""
        c = self.config
        shard, window = self.places[number]
        points, known = (self.shards[shard][name][window][list(frames)] for name in ("joints", "visibility"))
        images, points = shake(self.images(number, frames), points, c.corruption, random, c.size)
        order = np.arange(points.shape[1])
        if random.random() < c.corruption.flipped:
            images, points = flip(images, points, self.pairs)
            for left, right in self.pairs:
                order[[left, right]] = right, left
        if c.corruption.restyled and random.random() < c.corruption.restyled:
            images = restyle(images, random)
        other = cv2.resize(self.images(int(random.integers(len(self))), [c.delta])[0], c.size)
        inside = np.all((points >= 0) & (points <= np.array(c.size) - 1), axis=-1)
        weight = (inside & (known[:, order] > 0)).astype(np.float32)
        return Draw(corrupt(images, other, c.corruption, random), images, points, weight)


def _picture(jpeg: Array) -> Array:
    image = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    if image is None:
        raise InputError("a window holds a JPEG that does not decode: make its shard again")
    return image


class CorruptedCrops(Dataset[Batch]):
    """Single frames for stages "trunk" and "gate", by (epoch, number): another frame and corruption each epoch."""

    def __init__(self, windows: Windows, seed: int) -> None:
        self.windows, self.seed = windows, seed

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, item: int | tuple[int, int]) -> Batch:
        epoch, number = item if isinstance(item, tuple) else (VALIDATION_DRAW, item)
        random = np.random.default_rng([self.seed, epoch, number])
        frame = int(random.integers(self.windows.frames))
        drawn = self.windows.draw(number, [frame], random)
        return {"crops": drawn.images, "clean": drawn.clean, "points": drawn.points, "weight": drawn.weight}


class SeenWindows(Dataset[Batch]):
    """What the trunk saw in corrupted windows, for stage "temporal", by (epoch, number)."""

    def __init__(self, arrays: Batch, config: PeopleWindowsConfig, validation: bool = False) -> None:
        self.arrays, self.config, self.validation = arrays, config, validation

    def __len__(self) -> int:
        return len(self.arrays["points"])

    def __getitem__(self, item: int | tuple[int, int]) -> Batch:
        epoch, number = item if isinstance(item, tuple) else (VALIDATION_DRAW, item)
        random = np.random.default_rng([self.config.seed, epoch, number])
        order = list(range(5)) if self.validation else in_time(self.config.missed, random)
        timed = {
            name: self.arrays[name][number][order] for name in ("stride16", "heatmaps", "joints", "points", "weight")
        }
        return timed | {"stride4": self.arrays["stride4"][number]}


def in_time(missed: float, random: np.random.Generator) -> list[int]:
    """Which frame stands at each place of a window of five."""
    order = list(IN_TIME[int(random.choice(len(IN_TIME), p=[share for share, _ in IN_TIME]))][1])
    if random.random() < missed:
        place = int(random.choice([0, 1, 3, 4]))
        order[place] = order[place + (1 if place < 2 else -1)]
    return order


class PeopleWindows(lightning.LightningDataModule):
    """Rendered windows to train any stage on, and others to validate on."""

    boxes = "ground-truth boxes, shaken"

    def __init__(self, config: PeopleWindowsConfig) -> None:
        super().__init__()
        self.config = config
        self.train_set: Dataset[Batch] | None = None
        self.val_set: Dataset[Batch] | None = None
        self._look: FrozenGraph | None = None  # made where windows are not cached yet, once for all folders

    def setup(self, stage: str) -> None:
        """Open the windows; for stage "temporal", see to the trunk's answers."""
        if self.train_set is not None:
            return
        c = self.config
        assert self.trainer is not None
        module: Any = self.trainer.lightning_module
        folders = (c.train, c.validation)
        if module.stage in ("trunk", "gate"):
            self.train_set, self.val_set = (
                CorruptedCrops(Windows(folder, module.network.skeleton, c), c.seed) for folder in folders
            )
            return
        seen = [self._seen(folder, module.network, draws) for folder, draws in zip(folders, (c.draws, 1), strict=True)]
        self.train_set, self.val_set = SeenWindows(seen[0], c), SeenWindows(seen[1], c, validation=True)

    def train_dataloader(self) -> DataLoader[Any]:
        """All windows in an order that the seed and the epoch fix."""
        assert self.train_set is not None and self.trainer is not None
        c, trainer = self.config, self.trainer
        order = SeededOrder(self.train_set, c.seed, trainer.world_size, trainer.global_rank)  # type: ignore[arg-type]
        pinned = torch.cuda.is_available()
        return ResumableLoader(self.train_set, order, c.batch, c.workers, pinned)  # type: ignore[arg-type]

    def val_dataloader(self) -> DataLoader[Any]:
        """The validation windows, in one draw."""
        assert self.val_set is not None
        return DataLoader(self.val_set, batch_size=48, generator=torch.Generator())

    def _seen(self, folder: str, network: Any, draws: int) -> Batch:
        """The trunk's answers to all windows of a folder, computed where they are not cached."""
        c = self.config
        place = Path(c.cache) / f"{Path(folder).name}-{self._digest(folder, network, draws)}"
        assert self.trainer is not None

        def compute(made: Path) -> None:
            if self._look is None:
                self._look = FrozenGraph(_Look(network), torch.zeros((2, *c.size[::-1], 3), dtype=torch.uint8))
            device = next(network.backbone.parameters()).device
            parts = list(look_at(Windows(folder, network.skeleton, c), self._look, draws, device))
            for name in parts[0]:
                np.save(made / f"{name}.npy", np.stack([part[name] for part in parts]))

        rank_zero_only(make_once)(place, compute)
        self.trainer.strategy.barrier()
        return {path.stem: np.load(path, mmap_mode="r") for path in sorted(place.glob("*.npy"))}

    def _digest(self, folder: str, network: Any, draws: int) -> str:
        """Of everything that decides what is cached."""
        c = self.config
        files = [[path.name, path.stat().st_size] for path in window_files(folder)]
        decides = [VERSION, files, asdict(c.corruption), draws, c.seed, list(c.size)]
        digest = hashlib.sha256(json.dumps(decides).encode())
        for name, value in sorted(network.backbone.state_dict().items()):
            digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:12]


class _Look(nn.Module):
    """What a network's trunk sees, as a module of its own."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, crops: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.network.look(crops))


def look_at(windows: Windows, look: FrozenGraph, draws: int, device: torch.device) -> Iterator[Batch]:
    """What the trunk sees in `draws` corruptions of each window, half precision, with its points and weights."""
    everything = [(draw, number) for draw in range(draws) for number in range(len(windows))]
    for draw, number in tqdm(everything, "the trunk's answers", disable=None):
        random = np.random.default_rng([windows.config.seed, VALIDATION_DRAW + draw, number])
        drawn = windows.draw(number, range(windows.frames), random)
        seen = Seen(*look(torch.from_numpy(drawn.images).to(device)))
        half = seen._replace(stride4=seen.stride4[windows.config.delta])._asdict()
        arrays = {name: value.half().cpu().numpy() for name, value in half.items()}
        yield arrays | {"points": drawn.points, "weight": drawn.weight}
