"""Synthetic people: short clips of articulated, textured figures with exact joints, for training, demo and benches.

NumPy and OpenCV only; the same seed gives the same bytes. `render_clip` makes a clip, `write_posetrack18` a data set.
"""

from sdtc_ros.synthetic.dataset import posetrack18_truth, write_posetrack18
from sdtc_ros.synthetic.scene import Clip, SceneConfig, iterate_clip, render_clip

__all__ = ["Clip", "SceneConfig", "iterate_clip", "posetrack18_truth", "render_clip", "write_posetrack18"]
