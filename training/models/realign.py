# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What was seen in a crop of its own, moved to where it would have been seen in the keyframe's crop. Not of the papers.

They crop all frames of a window with the keyframe's box, so a person who walks is encoded 2 * delta + 1 times a frame.
Here each frame may keep the crop that it was encoded in. A move is four numbers in crop pixels, (sx, sy, tx, ty): a
point (x, y) of the frame's crop lies at (sx * x + tx, sy * y + ty) in the keyframe's. Joints move exactly, tokens as a
bilinear reading of their map, whose border stands for what lies beyond it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def realigned_joints(joints: Tensor, moves: Tensor, cell: tuple[float, float]) -> Tensor:
    """joints B x T x K x 3 (column, row in cells, score), moves B x T x 4; cell: its (width, height), crop pixels."""
    scale, shift = moves.unsqueeze(2).split(2, dim=-1)
    return torch.cat([joints[..., :2] * scale + shift / shift.new_tensor(cell), joints[..., 2:]], dim=-1)


def realigned_tokens(tokens: Tensor, moves: Tensor, grid: tuple[int, int], image_size: tuple[int, int]) -> Tensor:
    """tokens B x T x L x C of a map of grid (rows, columns), moves B x T x 4; image_size: a crop's (height, width)."""
    down = _reading(moves[..., 1], moves[..., 3], grid[0], image_size[0])
    across = _reading(moves[..., 0], moves[..., 2], grid[1], image_size[1])
    maps = tokens.unflatten(2, grid)  # B x T x rows x columns x C
    read = (down @ maps.flatten(3)).unflatten(3, maps.shape[3:])
    return (across.unsqueeze(2) @ read).flatten(2, 3)


def _reading(scale: Tensor, shift: Tensor, cells: int, size: int) -> Tensor:
    """Along one axis: the weights B x T x cells x cells with which the keyframe's cells read the frame's."""
    at = torch.arange(cells, dtype=scale.dtype, device=scale.device)
    pixel = (at + 0.5) * (size / cells) - 0.5  # the cells' centres
    there = (pixel - shift.unsqueeze(-1)) / scale.unsqueeze(-1)
    place = ((there + 0.5) * (cells / size) - 0.5).clamp(0, cells - 1)
    return torch.relu(1 - (place.unsqueeze(-1) - at).abs())
