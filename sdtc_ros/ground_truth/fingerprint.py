# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What identifies annotations: two figures are of the same truth where their fingerprints are equal."""

from __future__ import annotations

import hashlib
from pathlib import Path

from sdtc_ros.apple_double import without_apple_double


def fingerprint(truth: Path) -> str:
    """12 hexadecimal digits of the SHA-256 of an annotation file, or of a folder's (JSON, XML; subfolders too)."""
    digest = hashlib.sha256()
    folder = truth.parent if truth.is_file() else truth
    files = [truth] if truth.is_file() else sorted(without_apple_double(truth.rglob("*")))
    for path in files:
        if path.suffix.lower() not in (".json", ".xml"):
            continue
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:12]
