# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""The README's moving picture, from the demo's annotated video.

`python -m benchmarks.picture out/demo/annotated.mp4 docs/images/demo.gif`
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
from PIL import Image


def frames_of(video: Path, first: int, count: int, every: int, width: int) -> list[Image.Image]:
    """`count` frames of a video from `first` on, every `every`-th, scaled to a width in pixels."""
    capture = cv2.VideoCapture(str(video))
    pictures = []
    for number in range(first + count * every):
        found, image = capture.read()
        if not found:
            break
        if number >= first and (number - first) % every == 0:
            size = (width, round(image.shape[0] * width / image.shape[1]))
            small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            pictures.append(Image.fromarray(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)))
    return pictures


def mosaic(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size below each other."""
    width, height = pictures[0].size
    whole = Image.new("RGB", (width, height * len(pictures)))
    for row, picture in enumerate(pictures):
        whole.paste(picture, (0, row * height))
    return whole


def main(arguments: list[str] | None = None) -> None:
    """Write the GIF."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.picture", description=__doc__)
    parser.add_argument("video", type=Path)
    parser.add_argument("gif", type=Path)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--width", type=int, default=400)
    args = parser.parse_args(arguments)
    pictures = frames_of(args.video, args.first, args.count, args.every, args.width)
    if not pictures:
        parser.error(f"{args.video} has no frame {args.first}")
    palette = mosaic(pictures[:: max(1, len(pictures) // 8)]).quantize(128)  # one palette: no flicker
    plain = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    args.gif.parent.mkdir(parents=True, exist_ok=True)
    plain[0].save(args.gif, save_all=True, append_images=plain[1:], duration=100, loop=0, optimize=True)
    print(f"{args.gif}: {len(plain)} frames, {args.gif.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
