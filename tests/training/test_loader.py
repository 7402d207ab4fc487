# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Loader workers are forked from a process that has used OpenCV on several threads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import cv2, numpy as np
from training.data.loader import ResumableLoader, SeededOrder

class Turned:
    def __len__(self): return 4
    def __getitem__(self, item): return cv2.warpAffine(image, move, (900, 900))

image, move = np.zeros((900, 900, 3), np.uint8), np.float32([[1, 0.1, 0], [0, 1, 0]])
cv2.setNumThreads(4)
for _ in range(3):
    cv2.warpAffine(image, move, (900, 900))
loader = ResumableLoader(Turned(), SeededOrder(Turned(), 0), batch=2, workers=1, pin=False)
print("batches", len(list(loader)))
"""


@pytest.mark.slow
def test_workers_forked_after_opencv_has_run_on_threads() -> None:
    """The pool of threads does not live on in a child; one that has to end it crashed or hung."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.stdout == "batches 2\n", done.stderr[-2000:]
