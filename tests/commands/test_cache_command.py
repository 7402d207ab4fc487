# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The command that shows and clears the cache."""

from __future__ import annotations

from pathlib import Path

import pytest

from sdtc_ros.__main__ import main
from sdtc_ros.engine.cache import Cache, Key


def test_list_and_clear(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What, how large, for which GPU; clearing leaves what is not ours."""
    monkeypatch.setenv("SDTC_CACHE", str(tmp_path / "cache"))
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"0 cached, 0.0 MB, in {tmp_path}/cache\n"
    cache = Cache()
    cache.write(Key("encoder.fp16", {"gpu": "NVIDIA Orin", "tensorrt": "10.3.0"}), bytes(2_500_000))
    cache.write(Key("deviation", {"device": "a CPU"}), b"{}")
    (tmp_path / "cache" / "mine.txt").write_text("mine")
    assert main(["cache", "--words"]) == 0
    said = capsys.readouterr().out
    assert "2.5 MB  encoder.fp16  NVIDIA Orin\n    gpu: NVIDIA Orin\n    tensorrt: 10.3.0\n" in said
    assert said.endswith(f"2 cached, 2.5 MB, in {tmp_path}/cache\n")
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out.endswith(f"2 removed, 2.5 MB, in {tmp_path}/cache\n")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine.txt"]


def test_what_cannot_be_removed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SDTC_CACHE", str(tmp_path))
    Cache().write(Key("deviation", {"device": "a CPU"}), b"{}")
    monkeypatch.setattr(Cache, "_remove", lambda *_: None)
    assert main(["cache", "--clear"]) == 2
    said = capsys.readouterr()
    assert said.out == f"0 removed, 0.0 MB, in {tmp_path}\n"
    assert said.err.endswith("could not be removed; is the folder read-only?\n")
