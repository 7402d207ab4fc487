# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The one table of what is chosen by a word: providers, precisions, and where person boxes come from.

The command line's choices, the node's parameters, the engines' settings and doctor read it here. Nothing but the
standard library is imported, so that a launch file can do so too, in any Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sdtc_ros.errors import UsageError


@dataclass(frozen=True)
class Choice:
    """Something that is chosen by a word: the words that there are, that by default, and what they mean."""

    name: str
    default: str
    words: tuple[str, ...]
    about: str

    def check(self, word: str) -> None:
        """Raise UsageError, which lists the words, for any other."""
        if word not in self.words:
            raise UsageError(f"unknown {self.name} '{word}'; choose from {', '.join(self.words)}")


DIRECT = "tensorrt-direct"
PRECISIONS = ("fp32", "fp16", "int8")  # of a bundle's graphs; fp32 is in every bundle

PROVIDER = Choice(
    "provider", "cpu", ("cpu", "cuda", "tensorrt", DIRECT),
    f"what the model runs on: cpu, cuda or tensorrt (ONNX Runtime's), or {DIRECT} (TensorRT itself, through pycuda)",
)  # fmt: skip
PRECISION = Choice(
    "precision", "auto", ("auto", *PRECISIONS),
    "of the model's numbers: fp32, fp16 or int8, where the bundle has them; auto: fp16 on a GPU where the bundle has "
    "it, else fp32",
)  # fmt: skip

PERSON, TRUTH, TOPIC = "person", "truth", "topic"
ONNX, BOXES = ".onnx", ".json"  # the endings of a detector and of a file of boxes
DETECTORS = {
    PERSON: "person (the detector that ships)",
    ONNX: "the path of an .onnx file (your own detector)",
    BOXES: "the path of a .json file (boxes found before)",
    TRUTH: "truth (the boxes of --truth)",
    TOPIC: "topic (another process sends them, as vision_msgs/Detection2DArray on `detections`)",
}


def detectors_about(which: Sequence[str]) -> str:
    """Where person boxes come from, in a sentence that names some of DETECTORS."""
    *most, last = (DETECTORS[one] for one in which)
    return f"where person boxes come from: {', '.join(most)} or {last}"
