# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What is told of this computer: its processor's name and abilities, and the libraries of this process."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from sdtc_ros import host as machine
from sdtc_ros.host import cpu_hash, cpu_model, loaded_libraries

X86 = """processor\t: 0
model name\t: AMD EPYC
cpu MHz\t\t: {mhz}
flags\t\t: fpu sse2 {more}

processor\t: 1
model name\t: AMD EPYC
cpu MHz\t\t: 2000.1
flags\t\t: fpu sse2 {more}
"""
ARM = "processor\t: 0\nBogoMIPS\t: 62.5\nFeatures\t: fp asimd {more}\nCPU part\t: 0xd42\n"


@pytest.mark.parametrize("text", [X86, ARM])
def test_a_processor_is_what_it_can_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> None:
    """Two of the same name differ by their instructions, and one of them not by its clock."""
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")

    def told(**values: str) -> tuple[str, str]:
        machine.CPUINFO.write_text(text.format(**{"mhz": "2596.1", "more": "", **values}))
        return cpu_model(), cpu_hash()

    assert told() == told(mhz="1200.0") and len(told()[1]) == 8
    assert told(more="avx512_vnni asimddp")[1] != told()[1]
    assert told(more="avx512_vnni asimddp")[0] == told()[0]


def test_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CPUINFO", "MAPS"):
        monkeypatch.setattr(machine, name, tmp_path / "none")
    assert cpu_model() and len(cpu_hash()) == 8
    assert loaded_libraries(("libc",)) == {}


def test_loaded_libraries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """By the file that is loaded, not by the link to it; a part of a name is another library."""
    assert ctypes.CDLL("libc.so.6")
    assert [name.split(".so")[0] for name in loaded_libraries(("libc",))] == ["libc"]
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name, size in (("libcudnn.so.9.3.0", 5), ("libcudnn_ops.so.9", 6), ("libcublas.so.12", 7)):
        (folder / name).write_bytes(bytes(size))
    lines = [f"7f00-7f01 r-xp 00000000 08:01 12    {path}" for path in sorted(folder.iterdir())]
    (tmp_path / "maps").write_text("\n".join([*lines, *lines, "7f02-7f03 rw-p 00000000 00:00 0    [heap]", ""]))
    monkeypatch.setattr(machine, "MAPS", tmp_path / "maps")
    assert loaded_libraries(("libcudnn", "libcublas")) == {"libcublas.so.12": "7", "libcudnn.so.9.3.0": "5"}
    assert loaded_libraries(("libnvinfer",)) == {}
