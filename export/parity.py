"""Parity: the exported graphs in ONNX Runtime against the torch modules they came from, in FP32."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from sdtc_ros.errors import BundleError
from sdtc_ros.synthetic import SceneConfig, render_clip
from training.checkpoint import Network
from training.data.augment import NO_AUGMENTATION
from training.data.synthetic import usable_people
from training.data.windows import person_window

PIXELS = 0.05  # largest keypoint difference allowed, crop pixels
HEATMAP = 1e-4  # largest heatmap difference allowed
SEED = 1_900_000_000  # clips that neither training nor validation use


@dataclass(frozen=True)
class Parity:
    """Largest absolute differences over the compared windows."""

    windows: int
    tokens: float
    heatmaps: float
    keypoints_px: float
    scores: float
    undecided: int  # joints left out of keypoints_px: two cells of their heatmap tie within the heatmap bound

    def check(self) -> None:
        """Raise BundleError where a difference is over its bound."""
        if not self.keypoints_px <= PIXELS or not self.heatmaps <= HEATMAP:
            raise BundleError(
                f"the exported graphs differ from torch by {self.keypoints_px:.3g} px and {self.heatmaps:.3g} in the "
                f"heatmaps (allowed: {PIXELS} px, {HEATMAP:g}); no bundle was written"
            )

    def to_json(self) -> dict[str, Any]:
        """For model.json, with the bounds."""
        return asdict(self) | {"allowed": {"keypoints_px": PIXELS, "heatmaps": HEATMAP}}


def sample_windows(network: Network, count: int) -> npt.NDArray[np.uint8]:
    """Windows of synthetic people that training never saw: count x T x H x W x 3 uint8."""
    height, width = network.config.backbone.image_size
    random = np.random.default_rng(SEED)
    windows: list[npt.NDArray[np.uint8]] = []
    seed = SEED
    while len(windows) < count:
        clip = render_clip(SceneConfig(frames=9), seed)
        seed += 1
        for person in usable_people(clip, 4):
            sample = person_window(clip, 4, person, network.config.delta, (width, height), NO_AUGMENTATION, random)
            windows.append(sample["crops"])
    return np.stack(windows[:count])


def measure(encoder: nn.Module, temporal: nn.Module, folder: Path, windows: npt.NDArray[np.uint8]) -> Parity:
    """Run both sides on the same windows, each through its own tokens, and compare."""
    import onnxruntime

    sessions = [
        onnxruntime.InferenceSession(str(folder / name), providers=["CPUExecutionProvider"])
        for name in ("encoder.onnx", "temporal.onnx")
    ]
    count, frames = windows.shape[:2]
    crops = windows.reshape(count * frames, *windows.shape[2:])
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")  # parity is about the graphs, not about this CPU's shortcuts
    with torch.no_grad():
        tokens = encoder(torch.from_numpy(crops))
        expected = [t.numpy() for t in temporal(tokens.unflatten(0, (count, frames)))]
    torch.set_float32_matmul_precision(precision)
    (got_tokens,) = sessions[0].run(["tokens"], {"crops": crops})
    window_tokens = got_tokens.reshape(count, frames, *got_tokens.shape[1:])
    got = sessions[1].run(["keypoints", "spread", "heatmaps"], {"tokens": window_tokens})
    decided = _decided(expected[2])
    pixels = np.abs(got[0][..., :2] - expected[0][..., :2]).max(axis=-1)
    return Parity(
        windows=count,
        tokens=float(np.abs(got_tokens - tokens.numpy()).max()),
        heatmaps=float(np.abs(got[2] - expected[2]).max()),
        keypoints_px=float(pixels[decided].max(initial=0.0)),
        scores=float(np.abs(got[0][..., 2] - expected[0][..., 2]).max()),
        undecided=int((~decided).sum()),
    )


def _decided(heatmaps: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """N x K: the maximum beats every cell that is not its neighbour by more than the heatmap bound."""
    n, k, h, w = heatmaps.shape
    row, column = np.divmod(heatmaps.reshape(n, k, -1).argmax(axis=2), w)
    far = np.maximum(
        np.abs(np.arange(h)[None, None, :, None] - row[..., None, None]),
        np.abs(np.arange(w)[None, None, None, :] - column[..., None, None]),
    )
    rival = np.where(far > 1, heatmaps, -np.inf).max(axis=(2, 3))
    return np.asarray(heatmaps.max(axis=(2, 3)) - rival > 2 * HEATMAP)
