# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""A file that cannot be written whole leaves what was there, and nothing beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdtc_ros.whole_file import write_whole


def test_a_file_is_replaced_by_the_whole_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for text in ("{}\n", '{"ä": 1}\n'):
        write_whole(path, text)
        assert [(one.name, one.read_text("utf-8")) for one in tmp_path.iterdir()] == [("a.json", text)]


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def full(self: Path, text: str, encoding: str) -> None:
        self.write_bytes(text[:1].encode(encoding))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert [(one.name, one.read_text("utf-8")) for one in tmp_path.iterdir()] == [("a.json", "old")]
