# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""What a replay found and wrote: for its report, for the command line, and in result.json for a batch."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sdtc_ros.errors import SdtcError
from sdtc_ros.evaluate.replays import Accuracy
from sdtc_ros.io.sources import Source
from sdtc_ros.pipeline.pipeline import Pipeline
from sdtc_ros.replay.outputs import LOG, RESULT
from sdtc_ros.replay.statistics import RunStatistics
from sdtc_ros.whole_file import write_whole


@dataclass
class ReplayResult:
    """What a replay found and wrote.

    problems: what of the input was lost or left out, a clause each; notes: warnings that cost nothing; files: what
    was written, by its role; boxes: where the person boxes came from; stopped: the exit status of a request to end.
    """

    source: Source
    pipeline: Pipeline
    boxes: str
    statistics: RunStatistics
    files: dict[str, Path] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    accuracy: Accuracy | None = None
    stopped: int = 0

    @property
    def frames(self) -> int:
        """How many keyframes were processed and written."""
        return len(self.statistics.seconds)


class Record:
    """result.json in a replay's folder, written however the replay ends; a full disk may leave none.

    frames, poses, tracks: how many were processed and written; duplicates: poses left out as they showed somebody
    twice; seconds of wall time; stopped: the exit status of a request to end, or 0; error: what ended it, '' where
    nothing did; problems, notes, files (by role, relative): as ReplayResult's; ap, mota: totals, null where nothing was
    measured.
    """

    def __init__(self, out: Path) -> None:
        self._out = out
        self._result: ReplayResult | None = None

    def begin(self, result: ReplayResult) -> None:
        """From now on the folder's results are this replay's. Raises OSError."""
        (self._out / RESULT).unlink(missing_ok=True)
        self._result = result

    def done(self) -> None:
        """The replay came to its end, or to the one that was asked for."""
        self._write("")

    def failed(self, error: BaseException) -> None:
        """The replay ends by this error; before its `begin` that is noted for a batch alone, whose folder it is."""
        if self._result is not None or self._is_a_batchs():
            self._write(str(error) if isinstance(error, SdtcError) else f"{type(error).__name__}: {error}".rstrip(": "))

    def _is_a_batchs(self) -> bool:
        """Whether a batch runs this replay: it has begun the log and removed an earlier record."""
        return (self._out / LOG).exists() and not (self._out / RESULT).exists()

    def _write(self, error: str) -> None:
        content = {"error": error} | (_figures(self._result, self._out) if self._result else {"frames": 0, "poses": 0})
        with suppress(OSError):
            write_whole(self._out / RESULT, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _figures(result: ReplayResult, out: Path) -> dict[str, Any]:
    statistics = result.statistics
    measured = result.accuracy.result.to_json() if result.accuracy else {}
    return {
        "frames": result.frames,
        "poses": sum(statistics.people),
        "duplicates": statistics.duplicates,
        "tracks": len(statistics.tracks),
        "seconds": round(statistics.wall, 3),
        "input": result.source.what,
        "model": result.pipeline.bundle.name,
        "boxes": result.boxes,
        "stopped": result.stopped,
        "problems": result.problems,
        "notes": result.notes,
        "files": {role: path.relative_to(out).as_posix() for role, path in result.files.items()},
        "ap": measured.get("ap", {}).get("total"),
        "mota": (measured.get("mota") or {}).get("total"),
    }
