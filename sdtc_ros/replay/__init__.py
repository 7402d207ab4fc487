"""Replay: a recorded input through the pipeline, and what it leaves behind."""

from sdtc_ros.replay.result import ReplayResult
from sdtc_ros.replay.run import ReplayOptions, replay

__all__ = ["ReplayOptions", "ReplayResult", "replay"]
