# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Python's garbage collector and the C library's heap, for a process that must neither pause nor keep a freed model."""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress


def settle() -> None:
    """What is there now is there to stay: a later full collection, which takes 50 ms of it, looks at new objects only.

    Frames come and go by reference counts; but their messages are made of so many objects that collections happen.
    """
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Free what nothing holds any more, cycles included, and give its pages back to the system.

    glibc keeps freed blocks of a model's size in its heaps: hundreds of megabytes of a ViT-B.
    """
    gc.unfreeze()
    gc.collect()
    trim()


def trim() -> None:
    """Give the heap's free pages back to the system, where the C library can (glibc)."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
