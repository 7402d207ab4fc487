# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""ViTPose weights (Xu et al., arXiv:2204.12484 and 2212.04246) in three formats, under the names of our ViT and heads.

| ours | official .pth | Hugging Face | mmpose 1.x |
|---|---|---|---|
| patch_embed.proj | the same | embeddings.patch_embeddings.projection | patch_embed.projection |
| pos_embed | with a class row | embeddings.position_embeddings, with a class row | without |
| blocks.i.norm1, norm2 | the same | encoder.layer.i.layernorm_before, _after | layers.i.ln1, ln2 |
| blocks.i.attn.qkv | the same | encoder.layer.i.attention.attention.query, key, value | layers.i.attn.qkv |
| blocks.i.attn.proj | the same | encoder.layer.i.attention.output.dense | layers.i.attn.proj |
| blocks.i.mlp.fc1, fc2 | the same | encoder.layer.i.mlp.fc1, fc2 | layers.i.ffn.layers.0.0, .1 |
| last_norm | the same | layernorm | ln1 |
| head upsample.0, 1, 3, 4 | deconv_layers.0, 1, 3, 4 | deconv1, batchnorm1, deconv2, batchnorm2 | as official |
| head final | final_layer | conv | final_layer |

The backbone's names begin with `backbone.`, the head's with `keypoint_head.` (official) or `head.`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdtc_ros.errors import BundleError
from training.models.head import HeadKind
from training.models.vit import VIT_SIZES, ViTConfig
from training.weights.files import is_safetensors, read_weights

PATCH = {  # the name of the patch convolution tells the format
    "official": "patch_embed.proj.weight",
    "huggingface": "embeddings.patch_embeddings.projection.weight",
    "mmpose": "patch_embed.projection.weight",
}
BACKBONE_NAMES: dict[str, list[tuple[str, str]]] = {
    "official": [],
    "huggingface": [
        (r"embeddings\.patch_embeddings\.projection", "patch_embed.proj"),
        (r"embeddings\.position_embeddings", "pos_embed"),
        (r"encoder\.layer\.(\d+)\.layernorm_before", r"blocks.\1.norm1"),
        (r"encoder\.layer\.(\d+)\.layernorm_after", r"blocks.\1.norm2"),
        (r"encoder\.layer\.(\d+)\.attention\.attention\.(query|key|value)", r"blocks.\1.attn.\2"),
        (r"encoder\.layer\.(\d+)\.attention\.output\.dense", r"blocks.\1.attn.proj"),
        (r"encoder\.layer\.(\d+)\.mlp", r"blocks.\1.mlp"),
        (r"layernorm", "last_norm"),
    ],
    "mmpose": [
        (r"patch_embed\.projection", "patch_embed.proj"),
        (r"layers\.(\d+)\.ln([12])", r"blocks.\1.norm\2"),
        (r"layers\.(\d+)\.attn", r"blocks.\1.attn"),
        (r"layers\.(\d+)\.ffn\.layers\.0\.0", r"blocks.\1.mlp.fc1"),
        (r"layers\.(\d+)\.ffn\.layers\.1", r"blocks.\1.mlp.fc2"),
        (r"ln1", "last_norm"),
    ],
}
HEAD_NAMES = [
    (r"deconv_layers\.(\d+)", r"upsample.\1"),
    (r"final_layer", "final"),
    (r"deconv1", "upsample.0"),
    (r"batchnorm1", "upsample.1"),
    (r"deconv2", "upsample.3"),
    (r"batchnorm2", "upsample.4"),
    (r"conv", "final"),
]


@dataclass(frozen=True)
class ViTPoseWeights:
    """What a file holds. `backbone` fits ViT(config), `head` the head of that kind; all float32 on the CPU.

    format: "official", "huggingface" or "mmpose". heads: None where neither the file nor its width tells. head_kind:
    None for a backbone alone or a head that is none of ViTPose's. experts: 0 for a ViTPose without (then one of them
    is in the backbone already: see `read_vitpose`).
    """

    path: Path
    format: str
    backbone: dict[str, Tensor]
    head: dict[str, Tensor]
    image_size: tuple[int, int]
    heads: int | None
    head_kind: HeadKind | None
    experts: int

    @property
    def config(self) -> ViTConfig:
        """The backbone's sizes; BundleError where the number of attention heads is not known."""
        if self.heads is None:
            raise BundleError(
                f"{self.path} does not say how many attention heads it has, and its width {self.dim} is none of "
                f"ViTPose's ({', '.join(str(size.dim) for size in VIT_SIZES.values())})"
            )
        hidden = self.backbone["blocks.0.mlp.fc1.weight"].shape[0]
        return ViTConfig(self.image_size, self.patch, 2, self.dim, self.depth, self.heads, hidden / self.dim)

    @property
    def dim(self) -> int:
        """Width of a token."""
        return self.backbone["patch_embed.proj.weight"].shape[0]

    @property
    def patch(self) -> int:
        """Side of a patch, pixels."""
        return self.backbone["patch_embed.proj.weight"].shape[-1]

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return _depth(self.backbone)

    @property
    def joints(self) -> int | None:
        """Joints of the head."""
        return self.head["final.weight"].shape[0] if self.head_kind else None

    @property
    def size(self) -> str:
        """One of VIT_SIZES by its name, else width and depth."""
        known = {(size.dim, size.depth): name for name, size in VIT_SIZES.items()}
        return known.get((self.dim, self.depth), f"ViT {self.dim} wide, {self.depth} deep")


def read_vitpose(path: Path | str, expert: int = 0) -> ViTPoseWeights:
    """Read a ViTPose file in any of the formats; of a ViTPose++ with experts the given one (0 is COCO's).

    The position embedding's class row is folded into the others (`pos[:, 1:] + pos[:, :1]`), query, key and value are
    fused, and the expert's rows are joined to fc2's. Raises BundleError that says what the file lacks.
    """
    path = Path(path)
    tensors, config = read_weights(path)
    weights = _vitpose(path, tensors, config, expert)
    if weights is None:
        raise BundleError(f"{path} holds weights, but not of ViTPose (no {', '.join(PATCH.values())})")
    return weights


def find_vitpose(path: Path | str) -> ViTPoseWeights | None:
    """As `read_vitpose`, but None where there is no ViTPose, unless it is a folder or a safetensors file."""
    if is_safetensors(path):
        return read_vitpose(path)
    try:
        tensors, config = read_weights(path)
    except BundleError:
        return None
    return _vitpose(Path(path), tensors, config, expert=0)


def _vitpose(path: Path, tensors: dict[str, Tensor], config: dict[str, Any], expert: int) -> ViTPoseWeights | None:
    found = [(form, prefix) for form, name in PATCH.items() for prefix in ("backbone.", "") if prefix + name in tensors]
    if not found:
        return None
    form, prefix = found[0]
    backbone = _renamed(tensors, prefix, BACKBONE_NAMES[form])
    experts = _bake_expert(path, backbone, expert)
    _fuse_qkv(backbone)
    backbone = _complete(path, backbone)
    sizes = config.get("backbone_config", config) if form == "huggingface" else {}
    try:
        image_size, heads = _fold_class_row(path, backbone, form, sizes), _heads(backbone, sizes)
    except (TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"{path.name}: the config.json beside it has sizes that are no numbers") from error
    head = _head(tensors, "keypoint_head." if form == "official" else "head.", expert)
    scale = config.get("scale_factor", 4)
    return ViTPoseWeights(
        path=path, format=form, backbone=backbone, head=head, image_size=image_size,
        heads=heads, head_kind=_head_kind(head) if scale == 4 else None, experts=experts,
    )  # fmt: skip


def _renamed(tensors: dict[str, Tensor], prefix: str, names: list[tuple[str, str]]) -> dict[str, Tensor]:
    """The tensors under a prefix; each name's beginning that matches a row of the table (up to a dot) is replaced."""
    renamed = {}
    for name, value in tensors.items():
        if not name.startswith(prefix):
            continue
        ours = name.removeprefix(prefix)
        for pattern, replacement in names:
            match = re.match(pattern + r"(?=\.|$)", ours)
            if match:
                ours = match.expand(replacement) + ours[match.end() :]
                break
        renamed[ours] = value
    return renamed


def _shapes(depth: int, dim: int, hidden: int, patch: int) -> dict[str, tuple[int, ...]]:
    """The parameters of a ViT but its positions."""
    layers: dict[str, tuple[int, ...]] = {"patch_embed.proj": (dim, 3, patch, patch), "last_norm": (dim,)}
    for i in range(depth):
        layers |= {f"blocks.{i}.norm{n}": (dim,) for n in (1, 2)}
        layers |= {f"blocks.{i}.attn.qkv": (3 * dim, dim), f"blocks.{i}.attn.proj": (dim, dim)}
        layers |= {f"blocks.{i}.mlp.fc1": (hidden, dim), f"blocks.{i}.mlp.fc2": (dim, hidden)}
    weights = {f"{layer}.weight": shape for layer, shape in layers.items()}
    return weights | {f"{layer}.bias": shape[:1] for layer, shape in layers.items()}


def _depth(backbone: dict[str, Tensor]) -> int:
    found = (re.match(r"blocks\.(\d+)\.", name) for name in backbone)
    return 1 + max((int(match[1]) for match in found if match), default=-1)


def _bake_expert(path: Path, backbone: dict[str, Tensor], expert: int) -> int:
    """Join an expert's rows to fc2's in every block; returns how many experts there are."""
    numbers = {int(match[1]) for name in backbone if (match := re.match(r"blocks\.0\.mlp\.experts\.(\d+)\.", name))}
    if expert not in (numbers or {0}):
        raise BundleError(f"{path} has {len(numbers) or 'no'} experts: there is no expert {expert}")
    for name in [name for name in backbone if f".mlp.experts.{expert}." in name]:
        shared = name.replace(f"experts.{expert}", "fc2")
        if shared in backbone:
            backbone[shared] = torch.cat([backbone[shared], backbone[name]])
    return len(numbers)


def _fuse_qkv(backbone: dict[str, Tensor]) -> None:
    for name in [name for name in backbone if ".attn.query." in name]:
        parts = [backbone.get(name.replace("query", part)) for part in ("query", "key", "value")]
        if all(part is not None for part in parts):
            backbone[name.replace("query", "qkv")] = torch.cat(parts)  # type: ignore[arg-type]


def _complete(path: Path, backbone: dict[str, Tensor]) -> dict[str, Tensor]:
    """A ViT's parameters and nothing else; BundleError for one that is missing or of another shape than the rest."""
    patch, fc1 = (
        backbone["patch_embed.proj.weight"].shape,
        backbone.get("blocks.0.mlp.fc1.weight", torch.zeros(0)).shape,
    )
    wanted = _shapes(
        max(1, _depth(backbone)), patch[0] if patch else 0, fc1[0] if fc1 else 0, patch[-1] if patch else 0
    )
    missing = sorted((wanted.keys() | {"pos_embed"}) - backbone.keys())
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BundleError(f"{path} lacks {missing[0]}{more}: it is cut short, or a ViT that is not ViTPose's")
    for name, shape in wanted.items():
        if backbone[name].shape != shape:
            raise BundleError(f"{path}: {name} is {list(backbone[name].shape)}, where {list(shape)} fits the rest")
    positions = backbone["pos_embed"]
    if positions.dim() != 3 or positions.shape[::2] != (1, patch[0]):
        raise BundleError(f"{path}: pos_embed is {list(positions.shape)}, not 1 x tokens x {patch[0]}")
    return {name: backbone[name].float() for name in [*wanted, "pos_embed"]}


def _fold_class_row(path: Path, backbone: dict[str, Tensor], form: str, sizes: dict[str, Any]) -> tuple[int, int]:
    """Leave one row a token in `pos_embed`; returns the image size (height, width) of its grid.

    The sizes come from Hugging Face's config, else the grid is taken for 4 : 3 as in all that was published.
    """
    positions, patch = backbone["pos_embed"], backbone["patch_embed.proj.weight"].shape[-1]
    if sizes:
        height, width = sizes.get("image_size", (256, 192))
        rows, columns = int(height) // patch, int(width) // patch
    else:
        rows = 4 * round((positions.shape[1] / 12) ** 0.5)
        columns = rows * 3 // 4
    tokens = rows * columns
    if positions.shape[1] == tokens + 1:
        # mmpose itself drops a class row that a converted checkpoint may still have
        backbone["pos_embed"] = positions[:, 1:] + (0 if form == "mmpose" else positions[:, :1])
    elif positions.shape[1] != tokens:
        raise BundleError(f"{path}: a position embedding of {positions.shape[1]} rows is no {rows} x {columns} grid")
    return rows * patch, columns * patch


def _heads(backbone: dict[str, Tensor], sizes: dict[str, Any]) -> int | None:
    if sizes:
        return int(sizes.get("num_attention_heads", 12))  # Hugging Face leaves out what is its default
    known = {size.dim: size.heads for size in VIT_SIZES.values()}
    return known.get(backbone["patch_embed.proj.weight"].shape[0])


def _head(tensors: dict[str, Tensor], prefix: str, expert: int) -> dict[str, Tensor]:
    """The head's tensors; an expert's own where the file has one (ViTPose++ keeps COCO's apart from the others')."""
    own = f"associate_keypoint_heads.{expert - 1}."
    if expert > 0 and any(name.startswith(own) for name in tensors):
        prefix = own
    head = _renamed(tensors, prefix, HEAD_NAMES)
    return {name: value.float() if value.is_floating_point() else value for name, value in head.items()}


def _head_kind(head: dict[str, Tensor]) -> HeadKind | None:
    layers = {name.rpartition(".")[0] for name in head}
    kernel = head["final.weight"].shape[-1] if head.get("final.weight", torch.zeros(0)).dim() == 4 else 0
    if layers == {"final"} and kernel == 3:
        return "simple"
    if layers == {"upsample.0", "upsample.1", "upsample.3", "upsample.4", "final"} and kernel == 1:
        return "classic"
    return None
