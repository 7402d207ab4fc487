# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Windows of annotated people in real clips: PoseTrack17, 18, 21 or HiEve, one item a labelled person in a keyframe.

Nothing that is wrong with an image stops a training: a frame that does not decode is replaced by the nearest readable
one of its window, with that one's labels, and counted.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset

from sdtc_ros.errors import InputError
from sdtc_ros.messages.encodings import file_to_bgr
from training.data.augment import NO_AUGMENTATION, Augmentation
from training.data.detections import Samples, annotated_samples
from training.data.frames import IntArray
from training.data.index import Index, windows_at
from training.data.truth import ValidationTruth
from training.data.windows import Subject, Window, cut_window

Image = npt.NDArray[np.uint8]

RUN = 8  # keyframes that make a run of neighbours


class FrameCache:
    """The latest decoded frames, `size` of them, by path; a loader worker has one of its own."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._frames: OrderedDict[Path, Image | None] = OrderedDict()

    def read(self, path: Path) -> Image | None:
        """The image as H x W x 3 uint8 BGR, None where it does not decode (a JPEG that is cut short does not)."""
        if path in self._frames:
            self._frames.move_to_end(path)
            return self._frames[path]
        try:
            image: Image | None = file_to_bgr(np.fromfile(path, np.uint8), path.name)
        except (InputError, OSError):
            image = None
        self._frames[path] = image
        if len(self._frames) > self._size:
            self._frames.popitem(last=False)
        return image


class ClipDataset(Dataset[Window]):
    """Map-style: item i is the window of sample i.

    An item may also be asked for as (epoch, i): augmentation is drawn from (seed, epoch, i) alone, so that a sample is
    the same whichever worker makes it and wherever a run was resumed.
    """

    def __init__(
        self, index: Index, size: tuple[int, int], delta: int, augmentation: Augmentation = NO_AUGMENTATION,
        seed: int = 0, samples: Samples | None = None, cache: int = 32,
    ) -> None:  # fmt: skip
        """samples: the windows, None for the usable people by their annotated boxes; cache counts decoded frames."""
        self.index, self.size, self.delta = index, size, delta
        self.augmentation, self.seed = augmentation, seed
        self.samples = samples or annotated_samples(index)
        self.rows = self.samples.rows
        self.frames, self.owners = windows_at(index, self.samples.video, self.samples.frame, self.rows, delta)
        self._warn_of_names()
        self._cache = FrameCache(cache)
        self._first = np.cumsum([0] + [len(video.files) for video in index.videos])
        # shared with the loader's workers, which mark what they cannot decode
        self._unreadable = torch.zeros(int(self._first[-1]), dtype=torch.uint8).share_memory_()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int | tuple[int, int]) -> Window:
        epoch, sample = item if isinstance(item, tuple) else (0, item)
        if not 0 <= sample < len(self):  # `for window in dataset` ends by this
            raise IndexError(sample)
        random = np.random.default_rng([self.seed, epoch, sample])
        row, people, somebody = self.rows[sample], self.index.people, bool(self.rows[sample] >= 0)
        images, owners = self._read_window(int(self.samples.video[sample]), self.frames[sample], self.owners[sample])
        known = owners >= 0
        subject = Subject(
            images=images,
            joints=np.where(known[:, None, None], people.joints[owners], 0),
            labelled=people.labelled[owners] & known[:, None],
            box=self.samples.boxes[sample],
            occluded=people.occluded[row] & somebody,
            blurred=people.blurred[row] & somebody,
            head_size=float(people.head_sizes[row]) if somebody else 0.0,
        )
        return cut_window(subject, self.size, self.augmentation, random, self.index.skeleton, sample)

    def runs(self, length: int = RUN) -> list[IntArray]:
        """Samples whose keyframes lie within `length` frames of a video, run after run; they share most images."""
        video, frame = self.samples.video, self.samples.frame
        order = np.lexsort((frame, video))
        stretch = video[order] * (int(frame.max()) + 1) + frame[order] // length  # rises by at least 1 at a new run
        return np.split(order, np.flatnonzero(np.diff(stretch)) + 1)

    def truth(self) -> ValidationTruth:
        """The split's annotations, and where the samples lie in them."""
        sequence, frame = self.samples.place.T
        return ValidationTruth(self.index.summary.dataset, self.index.truth, sequence, frame, self.samples.scores)

    def unreadable(self) -> list[Path]:
        """The images that did not decode so far, in any worker of this process's loaders."""
        places = torch.nonzero(self._unreadable).flatten().tolist()
        videos = np.searchsorted(self._first, places, side="right") - 1
        return [self.index.videos[v].path(place - int(self._first[v])) for v, place in zip(videos, places, strict=True)]

    def _warn_of_names(self) -> None:
        """Say once what is unusual about the frames' names, and how many windows have no neighbour at all."""
        several = np.array([len(video.files) > 1 for video in self.index.videos])[self.samples.video]
        alone = several & (self.frames == self.samples.frame[:, None]).all(axis=1) if self.delta else np.zeros(1, bool)
        told = [f"{count} {kind}" for kind, count in self.index.summary.irregular.items()]
        if alone.any():
            told.append(f"{alone.sum()} of {len(self)} windows whose keyframe has no other frame within {self.delta}")
        if told:
            where = f"{self.index.summary.dataset}, split '{self.index.summary.split}'"
            warnings.warn(f"{where}: neighbouring frames go by the images' names; {'; '.join(told)}", stacklevel=3)

    def _read_window(self, video: int, frames: IntArray, owners: IntArray) -> tuple[list[Image], IntArray]:
        """The T images and whose labels go with them; black and nobody's where not one of them decodes."""
        images = [self._read(video, frame) for frame in frames.tolist()]
        readable = [t for t, image in enumerate(images) if image is not None]
        if not readable:
            width, height = self.size
            return [np.zeros((height, width, 3), np.uint8)] * len(images), np.full_like(owners, -1)
        middle = len(images) // 2
        taken = [min(readable, key=lambda r: (abs(r - t), abs(r - middle))) for t in range(len(images))]
        return [image for t in taken if (image := images[t]) is not None], owners[taken]

    def _read(self, video: int, frame: int) -> Image | None:
        path, place = self.index.videos[video].path(frame), int(self._first[video]) + frame
        image = self._cache.read(path)
        if image is None and not self._unreadable[place]:
            if not self._unreadable.any():
                text = f"{path} does not decode: the nearest readable frame is taken instead, here and wherever else"
                warnings.warn(f"{text} that happens; the count follows at the end", stacklevel=2)
            self._unreadable[place] = 1
        return image
