# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A fixed set of windows of a clip, cut once and cached on disk with the frozen backbone's features.

For ablations in small, `class_path: training.data.cached.CachedData`: a frozen backbone answers the same windows the
same way in every run and every epoch, and is most of a step's work. Augmentation is drawn once, with the window.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from sdtc_ros.demo.clip import DEMO_FILE
from sdtc_ros.errors import UsageError
from training.data.demo_clip import ClipConfig, DemoValidation, DemoWindows, split_clip
from training.data.loader import ResumableLoader, SeededOrder
from training.data.truth import ValidationTruth
from training.data.windows import Window
from training.models.baselines import SingleFrame
from training.models.sdtc import SDTC, normalise

STREAM_SEED = 7  # of the windows themselves; a run's seed only orders them
VERSION = 2  # of what lies in the folder: part of its name

Array = npt.NDArray[Any]


@dataclass
class CacheConfig(ClipConfig):
    """How many windows, and the folder where they are cached.

    widest: the delta that windows are cut with; smaller ones are cut from the same windows.
    """

    size: tuple[int, int] = (96, 128)
    folder: str = "runs/cached"
    windows: int = 6000
    widest: int = 3


class CachedWindows(Dataset[Window]):
    """Windows from arrays (name -> N x ...), and the context, N x T x L x D float16, where it is cached."""

    def __init__(self, arrays: dict[str, Array], context: Array | None, delta: int) -> None:
        self.arrays = arrays if context is None else arrays | {"context": context}
        self.middle, self.delta = arrays["crops"].shape[1] // 2, delta

    def __len__(self) -> int:
        return len(self.arrays["crops"])

    def __getitem__(self, item: int | tuple[int, int]) -> Window:
        """By number, or by (epoch, number) as the training order gives them."""
        number = item[1] if isinstance(item, tuple) else item
        span = slice(self.middle - self.delta, self.middle + self.delta + 1)
        timed = ("crops", "points", "weight", "context")
        window = {name: np.array(v[number][span] if name in timed else v[number]) for name, v in self.arrays.items()}
        return window  # type: ignore[return-value]


class CachedData(lightning.LightningDataModule):
    """Cached windows to train on, those of the clip's end to validate on."""

    boxes = "ground-truth boxes"

    def __init__(self, config: CacheConfig) -> None:
        super().__init__()
        if config.delta > config.widest:
            raise UsageError(f"these windows are cached for a delta of up to {config.widest}, not {config.delta}")
        self.config = config
        self.train_set: CachedWindows | None = None
        self.val_set: Dataset[Window] | None = None

    def prepare_data(self) -> None:
        """Cut the training windows, where they are not there yet."""
        make_once(self._folder(), self._cut)

    def setup(self, stage: str) -> None:
        """Open the windows, and see to the features: cut and computed once, by the first process."""
        if self.train_set is not None:
            return
        c = self.config
        self.validation = DemoValidation(split_clip(c.clip, c.held_out)[1], c.size, c.delta)
        arrays = read_arrays(self._folder())
        assert self.trainer is not None
        network: Any = self.trainer.lightning_module.network
        if not _caches_features(network):
            self.train_set, self.val_set = CachedWindows(arrays, None, c.delta), self.validation
            return
        folder = self._folder() / f"features-{_digest_of_weights(network.backbone)}"
        device = self.trainer.strategy.root_device

        def compute(made: Path) -> None:
            np.save(made / "context.npy", features(network, arrays["crops"], device, "the backbone's features"))

        rank_zero_only(make_once)(folder, compute)
        self.trainer.strategy.barrier()
        self.train_set = CachedWindows(arrays, read_arrays(folder)["context"], c.delta)
        known = {
            name: np.stack([window[name] for window in self.validation.windows])  # type: ignore[literal-required]
            for name in arrays
        }
        self.val_set = CachedWindows(known, features(network, known["crops"], device), c.delta)

    def train_dataloader(self) -> DataLoader[Window]:
        """All cached windows in an order that the seed and the epoch fix."""
        assert self.train_set is not None and self.trainer is not None
        c, trainer = self.config, self.trainer
        order = SeededOrder(self.train_set, c.seed, trainer.world_size, trainer.global_rank)
        return ResumableLoader(self.train_set, order, c.batch, 0, torch.cuda.is_available())

    def val_dataloader(self) -> DataLoader[Window]:
        """The fixed validation windows."""
        assert self.val_set is not None
        return DataLoader(self.val_set, batch_size=64, generator=torch.Generator())

    def validation_truth(self) -> ValidationTruth:
        """What validation's AP is measured against."""
        return self.validation.truth

    def _folder(self) -> Path:
        """Named after everything that decides what the windows are."""
        c = self.config
        clip = hashlib.sha256(Path(c.clip or DEMO_FILE).read_bytes()).hexdigest()
        decides = [VERSION, clip, c.held_out, asdict(c.augmentation), c.windows, c.widest, list(c.size)]
        digest = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]
        return Path(c.folder) / f"windows-{digest}"

    def _cut(self, folder: Path) -> None:
        c = self.config
        clip = split_clip(c.clip, c.held_out)[0]
        stream = iter(DemoWindows(clip, c.size, c.widest, c.augmentation, STREAM_SEED))
        cached: dict[str, Array] = {}
        for number in tqdm(range(c.windows), "windows", disable=None):
            window = next(stream) | {"sample": np.int64(number)}
            for name, value in window.items():
                value = np.asarray(value)
                if name not in cached:
                    shape = (c.windows, *value.shape)
                    cached[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", value.dtype, shape)
                cached[name][number] = value


def _caches_features(network: Any) -> bool:
    return isinstance(network, SDTC | SingleFrame) and network.config.freeze_backbone


def _digest_of_weights(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()[:12]


@torch.no_grad()
def features(
    network: Any, crops: Array, device: torch.device, told: str | None = None, batch: int = 32
) -> npt.NDArray[np.float16]:
    """The backbone's tokens of windows N x T x H x W x 3 uint8: N x T x L x D; `told` names the progress bar."""
    backbone = network.backbone.to(device)
    parts = []
    for start in tqdm(range(0, len(crops), batch), told, disable=None if told else True):
        some = torch.from_numpy(np.array(crops[start : start + batch])).to(device)
        tokens = backbone(normalise(some.flatten(0, 1))).unflatten(0, some.shape[:2])
        parts.append(tokens.cpu().numpy().astype(np.float16))
    return np.concatenate(parts)


def make_once(folder: Path, make: Callable[[Path], object]) -> None:
    """Have `make` fill the folder unless it is there; one that was not finished never gets its name."""
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        make(made)
        made.chmod(0o755)  # mkdtemp's is the user's alone
        if not folder.is_dir():  # another run may have been faster
            made.rename(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def read_arrays(folder: Path) -> dict[str, Array]:
    """The arrays of a folder by name, read from disk as they are needed."""
    return {path.stem: np.load(path, mmap_mode="r") for path in sorted(folder.glob("*.npy"))}
