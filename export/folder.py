# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Where a bundle goes: it is made in a hidden folder on the same disk and moved into place when it is complete."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sdtc_ros.errors import UsageError
from sdtc_ros.models.bundle_files import DATA, MANIFEST, graph_names
from sdtc_ros.options import PRECISIONS

GRAPHS = [name for precision in PRECISIONS for name in graph_names(precision)]
BUNDLE_FILES = (*(name + end for name in GRAPHS for end in ("", DATA)), MANIFEST)  # in the order of their moving


@contextmanager
def new_bundle(out: Path) -> Iterator[Path]:
    """An empty folder to make a bundle in; if the block ends without an error, the bundle's files move into `out`.

    A bundle in `out` stays as it is until then. Its files are replaced one by one, each atomically and model.json
    last, and those of its files that the new bundle lacks are removed; any other file in `out` is kept. Cut off in
    the middle of that, the folder is refused by load_bundle (the hashes differ) and can be exported to again.
    Raises UsageError where `out` is a file, holds something else or cannot be written; also for a full disk.
    """
    check_folder(out)
    try:
        disk = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
        work = Path(tempfile.mkdtemp(prefix=".export-", dir=disk))
        try:
            made = work / "bundle"
            made.mkdir()  # unlike the one around it with the permissions that the user's umask gives
            yield made
            _move(made, out)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise UsageError(f"the bundle cannot be written to {out}: {error.strerror or error}") from error


def check_folder(out: Path) -> None:
    """Raise UsageError unless `out` is a bundle's folder, an empty one, or one that can be made."""
    try:
        above = next((folder for folder in (out, *out.parents) if folder.exists()), out)
        if above.exists() and not above.is_dir():
            raise UsageError(f"--out {out}: {above} is a file; name a folder for the bundle")
        inside = {path.name: path for path in out.iterdir()} if out.exists() else {}
        if MANIFEST in inside:
            _files_of(out)
        elif inside:
            raise UsageError(f"--out {out} is not empty and has no bundle: choose another folder")
        for name in inside.keys() & set(BUNDLE_FILES):
            if inside[name].is_dir():
                raise UsageError(f"--out {out} has a folder named {name}, where a bundle has a file: move it away")
    except OSError as error:
        raise UsageError(f"--out {out} cannot be used: {error.strerror or error}") from error


def _files_of(folder: Path) -> set[str]:
    """The files of the bundle in `folder`, complete or not; raises UsageError for a model.json of something else."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = set(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError):
        raise UsageError(
            f"--out {folder} holds a {MANIFEST} that is not a bundle's: choose another folder, or remove it"
        ) from None
    return listed.intersection(BUNDLE_FILES)  # never a name that something else put there


def _move(made: Path, out: Path) -> None:
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        made.rename(out)
        return
    old = _files_of(out) if (out / MANIFEST).is_file() else set()
    new = [name for name in BUNDLE_FILES if (made / name).exists()]
    for name in new:
        os.replace(made / name, out / name)
    for name in old.difference(new):
        (out / name).unlink(missing_ok=True)
