"""Accuracy of poses against annotated sequences: AP, precision, recall, MOTA and MOTP as the benchmarks count them."""

from sdtc_ros.evaluate.core import evaluate
from sdtc_ros.evaluate.protocols import PROTOCOLS, Protocol, protocol_by_name
from sdtc_ros.evaluate.result import Result, Subset

__all__ = ["PROTOCOLS", "Protocol", "Result", "Subset", "evaluate", "protocol_by_name"]
