"""UDP-DARK heatmap decoding in torch operations that export to ONNX; `sdtc_ros.decode` is the NumPy reference.

DARK: Zhang et al., "Distribution-Aware Coordinate Representation", CVPR 2020. The maximum's cell is moved by one Newton
step on the logarithm of the smoothed heatmap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLUR_KERNEL = 11
BLUR_SIGMA = 2.0
FLOOR = 1e-3  # of a heatmap's maximum: below it the logarithm carries no shape
SPREAD_FLOOR = 0.1  # weights of the second moment start at this share of the maximum


class Decode(nn.Module):
    """heatmaps B x K x h x w -> keypoints B x K x 3 (x, y crop pixels, score) and spread B x K x 3 (crop pixels^2)."""

    def __init__(self, heatmap_size: tuple[int, int], image_size: tuple[int, int]) -> None:
        """heatmap_size and image_size are (height, width)."""
        super().__init__()
        (h, w), (height, width) = heatmap_size, image_size
        self.h, self.w = h, w
        scale = torch.tensor([(width - 1) / (w - 1), (height - 1) / (h - 1)])  # UDP: ends on ends
        offset = torch.arange(BLUR_KERNEL) - BLUR_KERNEL // 2
        gauss = torch.exp(-(offset.float() ** 2) / (2 * BLUR_SIGMA**2))
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("gauss", gauss / gauss.sum(), persistent=False)
        self.register_buffer("columns", torch.arange(w, dtype=torch.float32), persistent=False)
        self.register_buffer("rows", torch.arange(h, dtype=torch.float32), persistent=False)

    def forward(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """heatmaps B x K x h x w float32."""
        batch, joints = heatmaps.shape[:2]
        peak, at = heatmaps.flatten(2).max(dim=2)
        x, y = (at % self.w).float(), torch.div(at, self.w, rounding_mode="floor").float()
        dx, dy = self._newton_step(heatmaps, at)
        point = torch.stack([x + dx, y + dy], dim=-1)
        keypoints = torch.cat([point * self.scale, peak.clamp(0, 1).unsqueeze(-1)], dim=-1)
        return keypoints, self._spread(heatmaps, peak, point)

    def _newton_step(self, heatmaps: Tensor, at: Tensor) -> tuple[Tensor, Tensor]:
        """-H^-1 g of the log heatmap at each maximum, 0 where the surface is no peak; each B x K."""
        maps = heatmaps.flatten(0, 1).unsqueeze(1)
        blurred = F.conv2d(maps, self.gauss.view(1, 1, -1, 1), padding=(BLUR_KERNEL // 2, 0))
        blurred = F.conv2d(blurred, self.gauss.view(1, 1, 1, -1), padding=(0, BLUR_KERNEL // 2))
        top = blurred.amax(dim=(2, 3), keepdim=True)
        log = torch.log(torch.maximum(blurred, FLOOR * top).clamp_min(1e-12))
        padded = F.pad(log, (1, 1, 1, 1), mode="replicate").flatten(1)  # edges have no slope outwards
        stride = self.w + 2
        at = at.flatten()
        centre = (torch.div(at, self.w, rounding_mode="floor") + 1) * stride + at % self.w + 1
        steps = torch.tensor([-stride - 1, -stride, -stride + 1, -1, 0, 1, stride - 1, stride, stride + 1])
        near = padded.gather(1, centre.unsqueeze(1) + steps.to(at.device))
        nw, n, ne, west, mid, east, sw, s, se = near.unbind(1)
        gx, gy = (east - west) / 2, (s - n) / 2
        hxx, hyy, hxy = east - 2 * mid + west, s - 2 * mid + n, (se - sw - ne + nw) / 4
        det = hxx * hyy - hxy * hxy
        peaked = (det > 1e-9) & (hxx < 0)
        safe = torch.where(peaked, det, torch.ones_like(det))
        dx = torch.where(peaked, (hxy * gy - hyy * gx) / safe, 0.0).clamp(-1, 1)
        dy = torch.where(peaked, (hxy * gx - hxx * gy) / safe, 0.0).clamp(-1, 1)
        return dx.view(heatmaps.shape[:2]), dy.view(heatmaps.shape[:2])

    def _spread(self, heatmaps: Tensor, peak: Tensor, point: Tensor) -> Tensor:
        """Second central moment about the decoded point, xx xy yy in crop pixels squared; B x K x 3."""
        weight = F.relu(heatmaps - SPREAD_FLOOR * peak[..., None, None].clamp_min(1e-6))
        total = weight.sum(dim=(2, 3)).clamp_min(1e-9)
        dx = self.columns - point[..., 0:1]  # B x K x w
        dy = self.rows - point[..., 1:2]  # B x K x h
        xx = (weight.sum(dim=2) * dx * dx).sum(dim=2) / total
        yy = (weight.sum(dim=3) * dy * dy).sum(dim=2) / total
        xy = ((weight * dx.unsqueeze(2)).sum(dim=3) * dy).sum(dim=2) / total
        sx, sy = self.scale[0], self.scale[1]
        return torch.stack([xx * sx * sx, xy * sx * sy, yy * sy * sy], dim=-1)
