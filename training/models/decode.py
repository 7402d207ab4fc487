# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""UDP-DARK decoding in torch operations that export to ONNX; `training.decode` is the definition it is tested against.

The maximum's cell is moved by one Newton step on the logarithm of the smoothed heatmap (Zhang et al.,
"Distribution-Aware Coordinate Representation", CVPR 2020); within half a kernel of an edge the raw heatmap is used.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from training.decode import COVARIANCE_FLOOR, FLOOR, KERNEL, blur_matrix, cell_units

STENCILS = (  # of the first and second derivatives (x, y, xx, yy, xy) by the 3 x 3 cells, row by row
    (0, 0, 0, -0.5, 0, 0.5, 0, 0, 0),
    (0, -0.5, 0, 0, 0, 0, 0, 0.5, 0),
    (0, 0, 0, 1, -2, 1, 0, 0, 0),
    (0, 1, 0, 0, -2, 0, 0, 1, 0),
    (0.25, 0, -0.25, 0, 0, 0, -0.25, 0, 0.25),
)


class Decode(nn.Module):
    """heatmaps B x K x h x w -> keypoints B x K x 3 (x, y crop pixels, score) covariance B x K x 3 (crop pixels^2)."""

    units: Tensor
    moments: Tensor
    blur_rows: Tensor
    blur_columns: Tensor
    columns: Tensor
    rows: Tensor
    around: Tensor
    stencils: Tensor

    def __init__(self, heatmap_size: tuple[int, int], image_size: tuple[int, int]) -> None:
        """heatmap_size and image_size are (height, width)."""
        super().__init__()
        self.h, self.w = heatmap_size
        units = torch.from_numpy(cell_units(image_size[::-1], heatmap_size[::-1])).float()
        constants = {
            "units": units,
            "moments": torch.stack([units[0] * units[0], units[0] * units[1], units[1] * units[1]]),
            "blur_rows": torch.from_numpy(blur_matrix(self.h)).float(),
            "blur_columns": torch.from_numpy(blur_matrix(self.w)).float().T.contiguous(),
            "columns": torch.arange(self.w, dtype=torch.float32),
            "rows": torch.arange(self.h, dtype=torch.float32),
            "stencils": torch.tensor(STENCILS).T.contiguous(),
            "around": torch.tensor([dy * self.w + dx for dy in (-1, 0, 1) for dx in (-1, 0, 1)]),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """heatmaps B x K x h x w float32."""
        peak, at = heatmaps.flatten(2).max(dim=2)
        place = at.float()  # exact, and what TensorRT can clamp
        row = torch.floor((place + 0.5) / self.w)  # half a cell off the edge, where a rounded quotient cannot hurt
        column = place - row * self.w
        reach = KERNEL // 2
        at_edge = (row < reach) | (row >= self.h - reach) | (column < reach) | (column >= self.w - reach)
        y, x = row.clamp(1, self.h - 2), column.clamp(1, self.w - 2)
        index = (y * self.w + x).long().unsqueeze(-1) + self.around  # B x K x 9
        blurred = self.blur_rows @ heatmaps @ self.blur_columns
        smooth = self._log_patch(blurred, blurred.amax(dim=(2, 3)), index)
        patch = torch.where(at_edge.unsqueeze(-1), self._log_patch(heatmaps, peak, index), smooth)
        cells = torch.stack([x, y], dim=-1) + _newton_step(patch @ self.stencils)
        keypoints = torch.cat([cells * self.units, peak.clamp(0, 1).unsqueeze(-1)], dim=-1)
        return keypoints, self._covariance(heatmaps, peak, cells) * self.moments

    def _log_patch(self, maps: Tensor, peak: Tensor, index: Tensor) -> Tensor:
        """Logarithms of the 3 x 3 cells around each maximum, relative to the peak: B x K x 9."""
        patch = maps.flatten(2).gather(2, index) / peak.clamp_min(1e-12).unsqueeze(-1)
        return torch.log(patch.clamp_min(FLOOR))

    def _covariance(self, heatmaps: Tensor, peak: Tensor, cells: Tensor) -> Tensor:
        """Second moment about `cells`, xx xy yy in cells squared: B x K x 3."""
        weight = F.relu(heatmaps - COVARIANCE_FLOOR * peak.clamp_min(0)[..., None, None])
        x, y = self.columns - cells[..., :1], self.rows - cells[..., 1:]  # B x K x w, B x K x h
        by_x, by_y = weight.sum(dim=2), weight.sum(dim=3)
        xy = ((weight * x.unsqueeze(2)).sum(dim=3) * y).sum(dim=2)
        sums = torch.stack([(by_x * x * x).sum(dim=2), xy, (by_y * y * y).sum(dim=2)], dim=-1)
        return sums / by_x.sum(dim=2).clamp_min(1e-12).unsqueeze(-1)


def _newton_step(derivatives: Tensor) -> Tensor:
    """B x K x 5 derivatives of logarithms -> the bounded step (x, y in cells) to the maximum of their parabola."""
    gx, gy, hxx, hyy, hxy = derivatives.unbind(-1)
    determinant = hxx * hyy - hxy * hxy
    concave = (determinant > 1e-9) & (hxx < 0)
    safe = torch.where(concave, determinant, torch.ones_like(determinant))
    step = torch.stack([(hxy * gy - hyy * gx) / safe, (hxy * gx - hxx * gy) / safe], dim=-1)
    return torch.where(concave.unsqueeze(-1), step, torch.zeros_like(step)).clamp(-1, 1)
