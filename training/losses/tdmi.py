# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""TDMI's loss, equation 15: heatmaps (14) and mutual information (13).

Equation 14 is a sum over cells, and information is in nats; our heatmap loss is a mean over cells, so information is
divided by their number too: alpha then means what it means in the paper. Where the network gives logits (the location
loss, a cross-entropy in nats) nothing is divided.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from training.losses.sdtc import gaussian_heatmaps, heatmap_loss, location_loss
from training.models.mutual_information import InformationObjective
from training.models.tdmi import TDMIOutput


@dataclass
class TDMILosses:
    """Equation 15 and its parts, scalars; what is measured in nats is logged so.

    information is equation 13, separation to frame its terms; fit: of the variational distributions, which train by
    it and have no part in equation 15.
    """

    total: Tensor
    heatmap: Tensor
    information: Tensor
    separation: Tensor
    abundance: Tensor
    motion: Tensor
    frame: Tensor
    fit: Tensor


def tdmi_loss(
    output: TDMIOutput,
    objective: InformationObjective | None,
    points: Tensor,
    weight: Tensor,
    image_size: tuple[int, int],
    alpha: float = 1.0,
    sigma: float = 3.0,
) -> TDMILosses:
    """Equation 15 for the keyframe, the middle frame of points B x T x K x 2 (crop pixels) and weight B x T x K.

    sigma: of the target Gaussians, in cells (for logits it is their location_sigma).
    """
    middle = points.shape[1] // 2
    h, w = output.heatmaps.shape[-2:]
    labelled = weight[:, middle]
    target = gaussian_heatmaps(points[:, middle], (h, w), image_size, sigma)
    if output.logits is None:
        heatmap, unit = heatmap_loss(output.heatmaps.float(), target, labelled), 1 / (h * w)
    else:
        heatmap, unit = location_loss(output.logits, target, labelled), 1.0
    if objective is None or output.features is None:
        return TDMILosses(heatmap, heatmap, *[heatmap.new_zeros(()) for _ in range(6)])
    got = objective(output.features, target, labelled)
    total = heatmap + unit * (alpha * got.total + got.fit)
    return TDMILosses(total, heatmap, got.total, got.separation, got.abundance, got.motion, got.frame, got.fit)
