# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What validation measures: PCKh on the windows, and AP on the whole frames they are from, as poseval counts it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from torch import Tensor, distributed

from sdtc_ros.evaluate import evaluate
from sdtc_ros.skeleton import Skeleton
from training.data.truth import ValidationTruth
from training.data.windows import Window
from training.decode import decode_heatmaps

PCKH = 0.5  # a joint is right within half of poseval's head size
SHOWN = 24

Array = npt.NDArray[Any]


@dataclass
class Validation:
    """Collects batches; `figures` sums up, over all processes.

    shown: the first windows of the last validation with their keypoints (K x 3: crop pixels, score), to look at.
    """

    batches: list[dict[str, Array]] = field(default_factory=list)
    shown: list[tuple[Window, npt.NDArray[np.float32]]] = field(default_factory=list)

    def add(self, batch: dict[str, Tensor], heatmaps: Tensor, image_size: tuple[int, int]) -> None:
        """A batch of windows and the keyframes' heatmaps B x K x h x w; image_size is the crop's (height, width)."""
        given = {k: v.cpu().numpy() for k, v in batch.items() if k not in ("crops", "points", "weight", "context")}
        middle = batch["points"].shape[1] // 2
        truth, weight = (batch[key][:, middle].cpu().numpy() for key in ("points", "weight"))
        keypoints, _ = decode_heatmaps(heatmaps.float().cpu().numpy(), image_size[::-1])
        if not self.batches:
            plain = {name: values.cpu().numpy() for name, values in batch.items()}
            self.shown = [
                (cast(Window, {name: values[i] for name, values in plain.items()}), keypoints[i])
                for i in range(min(SHOWN, len(keypoints)))
            ]
        distance = np.linalg.norm(keypoints[..., :2] - truth, axis=-1)
        right = (distance <= PCKH * given["head_size"][:, None]).astype(float)
        linear, shift = given["to_image"][:, :, :2], given["to_image"][:, None, :, 2]
        in_image = keypoints[..., :2] @ linear.transpose(0, 2, 1) + shift
        self.batches.append(
            {
                "sample": given["sample"], "right": np.where(weight > 0, right, np.nan), "occluded": given["occluded"],
                "blurred": given["blurred"], "keypoints": np.concatenate([in_image, keypoints[..., 2:]], axis=-1),
            }
        )  # fmt: skip

    def figures(self, skeleton: Skeleton, truth: ValidationTruth | None) -> dict[str, float]:
        """Percent by name: pckh_all, by joint group, _occluded and _blurred; with a truth ap_total and by group too.

        Groups without a labelled joint are left out. Empties the collection.
        """
        collected = self._gathered()
        _, first = np.unique(collected["sample"], return_index=True)  # processes may have been given one twice
        collected = {name: values[first] for name, values in collected.items()}
        right = collected["right"]
        groups = {name: right[:, list(joints)] for name, joints in skeleton.groups}
        groups |= {"all": right} | {kind: right[collected[kind]] for kind in ("occluded", "blurred")}
        found = {f"pckh_{n.lower()}": 100 * float(np.nanmean(v)) for n, v in groups.items() if not np.isnan(v).all()}
        if truth is not None:
            predictions = truth.predictions(collected["sample"], collected["keypoints"])
            result = evaluate(truth.sequences, predictions, truth.protocol)
            ap = {"total": result.ap["total"]} | result.groups["ap"]
            found |= {f"ap_{n.lower()}": v for n, v in ap.items() if n != "Mean" and np.isfinite(v)}
        return found

    def _gathered(self) -> dict[str, Array]:
        batches, self.batches = self.batches, []
        if distributed.is_available() and distributed.is_initialized():
            parts: list[Any] = [None] * distributed.get_world_size()
            distributed.all_gather_object(parts, batches)
            batches = [batch for part in parts for batch in part]
        return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
