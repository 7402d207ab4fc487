# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Every image encoding of ROS to BGR: hand-made bytes in, the colour they stand for out."""

import array

import cv2
import numpy as np
import pytest

from sdtc_ros.errors import InputError
from sdtc_ros.messages.encodings import ENCODINGS, UnknownEncodingError, compressed_to_bgr, file_to_bgr, image_to_bgr

H, W = 6, 8
BGR = np.zeros((H, W, 3), np.uint8)
BGR[:, :4] = (200, 30, 60)
BGR[:, 4:] = (20, 160, 230)


def yuv(bgr: np.ndarray) -> np.ndarray:
    """BGR -> Y, U, V of ITU-R BT.601 with studio range, the range of the 4:2:2 and nv formats."""
    b, g, r = (bgr[..., i].astype(np.float64) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    return np.dstack([y, u, v]).round().astype(np.uint8)


def encode(encoding: str) -> np.ndarray:
    """BGR as rows of bytes (H x row bytes, or more rows where the encoding has planes) in that encoding."""
    y, u, v = np.moveaxis(yuv(BGR), 2, 0)
    grey = cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)
    alpha = np.full((H, W, 1), 255, np.uint8)
    base = encoding.removesuffix("16").removesuffix("8")
    if encoding in ("yuv422", "uyvy"):
        pairs = np.stack([u[:, ::2], y[:, ::2], v[:, ::2], y[:, 1::2]], axis=2)
        return pairs.reshape(H, -1)
    if encoding in ("yuv422_yuy2", "yuyv"):
        return np.stack([y[:, ::2], u[:, ::2], y[:, 1::2], v[:, ::2]], axis=2).reshape(H, -1)
    if encoding in ("nv12", "nv21"):
        chroma = (u, v) if encoding == "nv12" else (v, u)
        return np.vstack([y, np.stack([c[::2, ::2] for c in chroma], axis=2).reshape(H // 2, -1)])
    if encoding == "nv24":
        ycc = cv2.cvtColor(BGR, cv2.COLOR_BGR2YCrCb)
        return np.concatenate([ycc[..., 0].reshape(-1), ycc[..., [2, 1]].reshape(-1)])[None]
    if base.startswith("bayer"):
        plane, pattern = np.zeros((H, W), np.uint8), base.removeprefix("bayer_")
        for i, colour in enumerate(pattern):
            plane[i // 2 :: 2, i % 2 :: 2] = BGR[i // 2 :: 2, i % 2 :: 2, "bgr".index(colour)]
        pixels: np.ndarray = plane
    else:
        pixels = {
            "bgr": BGR, "rgb": BGR[..., ::-1], "mono": grey, "8UC3": BGR, "8UC1": grey,
            "bgra": np.dstack([BGR, alpha]), "rgba": np.dstack([BGR[..., ::-1], alpha]),
            "8UC4": np.dstack([BGR, alpha]),
        }[base if base else encoding]  # fmt: skip
    if encoding.endswith("16"):
        return (pixels.astype("<u2") * 257).reshape(H, -1).view(np.uint8)
    return np.ascontiguousarray(pixels).reshape(H, -1)


def expected(encoding: str) -> np.ndarray:
    if encoding.startswith("mono") or encoding == "8UC1":
        return np.repeat(cv2.cvtColor(BGR, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    return BGR


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if not name.startswith("bayer")])
def test_encoding_gives_its_colour(encoding):
    image = image_to_bgr(encode(encoding).tobytes(), H, W, encoding)
    assert image.shape == (H, W, 3)
    assert image.dtype == np.uint8
    worst = np.abs(image.astype(int) - expected(encoding)).max()
    assert worst <= (4 if encoding.startswith(("yuv", "uyvy", "yuyv", "nv")) else 0)


@pytest.mark.parametrize("sample", ["<u1", "<u2"])
@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_of_one_colour_is_that_colour(pattern, sample):
    plane = np.zeros((H, W), np.uint8)
    for i, colour in enumerate(pattern):
        plane[i // 2 :: 2, i % 2 :: 2] = {"r": 200, "g": 90, "b": 10}[colour]
    mosaic = plane if sample == "<u1" else plane.astype(sample) * 257
    image = image_to_bgr(mosaic.tobytes(), H, W, f"bayer_{pattern}{8 * mosaic.itemsize}")
    assert np.array_equal(np.unique(image.reshape(-1, 3), axis=0), [[10, 90, 200]])


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "mono8", "mono16", "uyvy", "bayer_rggb8", "nv12"])
def test_row_padding_is_left_out(encoding):
    rows = encode(encoding)
    padded = np.hstack([rows, np.full((len(rows), 5 if encoding != "mono16" else 6), 77, np.uint8)])
    tight = image_to_bgr(rows.tobytes(), H, W, encoding, rows.shape[1])
    assert np.array_equal(image_to_bgr(padded.tobytes(), H, W, encoding, padded.shape[1]), tight)


def test_big_endian_samples():
    big = (np.arange(H * W, dtype=np.uint16) * 1000).astype(">u2")
    little = big.astype("<u2")
    assert np.array_equal(
        image_to_bgr(big.tobytes(), H, W, "mono16", 2 * W, True), image_to_bgr(little.tobytes(), H, W, "mono16", 2 * W)
    )


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, lambda b: array.array("B", b), np.frombuffer])
def test_any_byte_container(wrap):
    data = BGR.tobytes()
    given = wrap(data) if wrap is not np.frombuffer else np.frombuffer(data, np.uint8)
    assert np.array_equal(image_to_bgr(given, H, W, "bgr8"), BGR)


def test_unknown_encoding_names_it_and_the_known():
    with pytest.raises(UnknownEncodingError, match="'rgb7'; supported: bgr8, 8UC3, rgb8"):
        image_to_bgr(b"", H, W, "rgb7")


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "8UC2", "16SC3", "64FC4", "8U"])
def test_plain_numbers_are_no_colours(encoding):
    with pytest.raises(UnknownEncodingError, match=f"'{encoding}' holds plain numbers, as depth images do, and no col"):
        image_to_bgr(b"", H, W, encoding)


def test_sixteen_bits_are_scaled_not_cut():
    samples = np.arange(65536, dtype="<u2")
    image = image_to_bgr(samples.tobytes(), 256, 256, "mono16")
    assert np.array_equal(image[..., 0].reshape(-1), np.rint(samples / 257).astype(np.uint8))


@pytest.mark.parametrize(
    ("data", "size", "encoding", "step"),
    [
        (BGR.tobytes()[:-1], (H, W), "bgr8", 0),
        (BGR.tobytes(), (H, W), "bgr8", 3 * W - 1),
        (BGR.tobytes(), (0, W), "bgr8", 0),
        (bytes(2 * H * 7), (H, 7), "uyvy", 0),
        (bytes(5 * W * 2), (5, W), "nv12", 0),
    ],
)
def test_contradicting_sizes_are_input_errors(data, size, encoding, step):
    with pytest.raises(InputError):
        image_to_bgr(data, *size, encoding, step)


@pytest.mark.parametrize("fmt", ["png", "bgr8; png compressed bgr8", "rgb8; png compressed bgr8"])
def test_png_is_exact(fmt):
    assert np.array_equal(compressed_to_bgr(cv2.imencode(".png", BGR)[1].tobytes(), fmt), BGR)


@pytest.mark.parametrize("fmt", ["jpeg", "jpg", "bgr8; jpeg compressed bgr8", "mono8; jpeg compressed "])
def test_jpeg_in_any_of_its_names(fmt):
    smooth = np.full((32, 32, 3), (200, 30, 60), np.uint8)
    image = compressed_to_bgr(cv2.imencode(".jpg", smooth)[1], fmt)
    assert np.abs(image.astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("fmt", ["", "mono8; jpeg compressed mono8", "mono8; png compressed "])
def test_grey_files(fmt):
    grey = np.arange(H * W, dtype=np.uint8).reshape(H, W)
    image = compressed_to_bgr(cv2.imencode(".png", grey)[1], fmt)
    assert np.array_equal(image, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("fmt", "samples"),
    [
        ("bgr16; png compressed bgr16", BGR.astype(np.uint16) * 257),
        ("rgb8; png compressed rgb8", BGR[..., ::-1]),
        ("rgb16; png compressed rgb16", BGR[..., ::-1].astype(np.uint16) * 257),
        ("bgra8; png compressed ", np.dstack([BGR, np.full((H, W), 9, np.uint8)])),
        ("bgr8; tiff compressed ", BGR),
        ("rgb8; tiff compressed ", BGR[..., ::-1]),  # tiff is given the message's own order
    ],
)
def test_what_the_codec_was_given_is_undone(fmt, samples):
    suffix = ".tiff" if "tiff" in fmt else ".png"
    assert np.array_equal(compressed_to_bgr(cv2.imencode(suffix, samples)[1], fmt), BGR)


def test_bayer_patterns_in_png_are_demosaiced():
    mosaic = encode("bayer_rggb8")
    image = compressed_to_bgr(cv2.imencode(".png", mosaic)[1], "bayer_rggb8; png compressed ")
    assert np.array_equal(image, image_to_bgr(mosaic.tobytes(), H, W, "bayer_rggb8"))
    assert np.array_equal(image[2:4, 1], BGR[2:4, 1])


@pytest.mark.parametrize("fmt", ["h264", "16UC1; compressedDepth png", "theora"])
def test_unknown_compression(fmt):
    with pytest.raises(UnknownEncodingError, match="supported: jpeg, png, tiff"):
        compressed_to_bgr(b"123", fmt)


@pytest.mark.parametrize("fmt", ["16UC1; png compressed ", "32FC1; tiff compressed "])
def test_compressed_depth_is_refused_like_raw_depth(fmt):
    with pytest.raises(UnknownEncodingError, match="holds plain numbers"):
        compressed_to_bgr(b"123", fmt)


def test_a_float_file_is_no_image_of_colours():
    data = cv2.imencode(".tiff", np.ones((H, W), np.float32))[1]
    with pytest.raises(InputError, match="1 channels of float32, which are no colours"):
        compressed_to_bgr(data, "tiff")


@pytest.mark.parametrize("data", [b"", b"no image at all", cv2.imencode(".jpg", BGR)[1].tobytes()[:-40]])
def test_damaged_compression_is_an_input_error(data):
    with pytest.raises(InputError, match="does not decode|is cut short"):
        compressed_to_bgr(data, "jpeg")


ENCODED = cv2.imencode(".jpg", np.random.default_rng(9).integers(0, 255, (60, 80, 3), np.uint8))[1].reshape(-1)
KINDS = ([], [cv2.IMWRITE_JPEG_RST_INTERVAL, 4])


@pytest.mark.parametrize("more", [b"", b"\0", bytes(8000), b"\xff\xd8\xff\xe0" + bytes(50), ENCODED[300:].tobytes()])
@pytest.mark.parametrize("options", KINDS)
def test_what_follows_a_jpegs_end_does_not_matter(options, more):
    data = cv2.imencode(".jpg", BGR, options)[1].tobytes()
    assert np.array_equal(compressed_to_bgr(data + more, "jpeg"), cv2.imdecode(np.frombuffer(data, np.uint8), 1))


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("options", KINDS)
def test_a_jpeg_that_lacks_its_end_marker_alone_is_whole(options, flat, capfd):
    image = np.full_like(BGR, 90) if flat else BGR
    data = cv2.imencode(".jpg", image, options)[1].tobytes()
    whole = cv2.imdecode(np.frombuffer(data, np.uint8), 1)
    for ending in (b"", b"\xff", bytes(200)):
        assert np.array_equal(compressed_to_bgr(data[:-2] + ending, "jpeg"), whole)
    for missing in (4, 9, 60, len(data) // 2):
        with pytest.raises(InputError, match="cut short"):
            compressed_to_bgr(data[:-missing], "jpeg")
    assert capfd.readouterr().err == ""


def test_a_photograph_is_turned_as_viewers_turn_it():
    upright = cv2.imencode(".jpg", BGR)[1].tobytes()
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = upright[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + upright[2:]
    image = file_to_bgr(np.frombuffer(turned, np.uint8), "photo.jpg")
    plain = cv2.imdecode(np.frombuffer(upright, np.uint8), 1)
    assert np.array_equal(image, cv2.rotate(plain, cv2.ROTATE_90_CLOCKWISE))
    message = compressed_to_bgr(turned, "jpeg")  # a camera's message stays as the sensor saw it
    assert message.shape == BGR.shape


@pytest.mark.parametrize(
    "head",
    [b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51", b"RIFF\x10\x00\x00\x00WEBP", b"BM", b"GIF89a"],
    ids=["JPEG 2000", "its codestream", "WebP", "BMP", "GIF"],
)
def test_another_codec_under_jpegs_name_reaches_no_decoder(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of OpenCV's decoders crash on damage; of those that no message names, none is asked."""
    monkeypatch.setattr(cv2, "imdecode", lambda *given: pytest.fail("a decoder was asked"))
    with pytest.raises(InputError, match="does not decode: it begins as no JPEG, PNG or TIFF does"):
        compressed_to_bgr(head + bytes(200), "jpeg")
