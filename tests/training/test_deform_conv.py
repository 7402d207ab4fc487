# Copyright 2026 sdtc_ros developers
# Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in compliance with
# the License. You may obtain a copy of the License at http://www.apache.org/licenses/LICENSE-2.0 Unless required by
# applicable law or agreed to in writing, software distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language
# governing permissions and limitations under the License.
"""Modulated deformable convolution: a slow reference, torchvision's where it is, plain convolution, gradients, ONNX."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.models.deform_conv import DeformConv2d, deform_conv2d


def slow_reference(x, offset, mask, weight, bias, padding, dilation):
    """The definition, one number at a time: sum over taps of weight * modulation * bilinear reading."""

    def read(image, row, column):
        total = 0.0
        for r in (int(np.floor(row)), int(np.floor(row)) + 1):
            for c in (int(np.floor(column)), int(np.floor(column)) + 1):
                if 0 <= r < image.shape[0] and 0 <= c < image.shape[1]:
                    total += image[r, c] * (1 - abs(row - r)) * (1 - abs(column - c))
        return total

    batch, channels, _, _ = x.shape
    outputs, _, kh, kw = weight.shape
    rows, columns = offset.shape[2:]
    groups = mask.shape[1] // (kh * kw)
    out = np.tile(bias[None, :, None, None], (batch, 1, rows, columns)).astype(float)
    for n, c, k, i, j in np.ndindex(batch, channels, kh * kw, rows, columns):
        at = (c // (channels // groups)) * kh * kw + k
        row = i - padding + dilation * (k // kw) + offset[n, 2 * at, i, j]
        column = j - padding + dilation * (k % kw) + offset[n, 2 * at + 1, i, j]
        value = mask[n, at, i, j] * read(x[n, c], row, column)
        for o in range(outputs):
            out[n, o, i, j] += weight[o, c, k // kw, k % kw] * value
    return out


def inputs(batch=2, channels=4, outputs=3, groups=2, size=(5, 4), kernel=(3, 3), reach=2.5):
    g = torch.Generator().manual_seed(0)
    taps = kernel[0] * kernel[1]
    return [
        torch.randn(batch, channels, *size, generator=g),
        reach * torch.randn(batch, 2 * groups * taps, *size, generator=g),  # many readings fall outside
        torch.rand(batch, groups * taps, *size, generator=g),
        torch.randn(outputs, channels, *kernel, generator=g),
        torch.randn(outputs, generator=g),
    ]


@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_equals_the_definition(groups, dilation):
    args = inputs(groups=groups)
    expected = slow_reference(*(a.numpy() for a in args), dilation, dilation)
    np.testing.assert_allclose(deform_conv2d(*args, dilation, dilation).numpy(), expected, atol=2e-5)


def test_one_row_and_one_column():
    args = inputs(batch=1, size=(1, 1))
    expected = slow_reference(*(a.numpy() for a in args), 1, 1)
    np.testing.assert_allclose(deform_conv2d(*args).numpy(), expected, atol=1e-5)


def test_without_offsets_it_is_a_convolution():
    x, offset, mask, weight, bias = inputs()
    got = deform_conv2d(x, torch.zeros_like(offset), torch.ones_like(mask), weight, bias, 3, 3)
    assert torch.allclose(got, F.conv2d(x, weight, bias, padding=3, dilation=3), atol=1e-5)


def test_an_offset_of_one_column_reads_the_neighbour():
    x, _, _, _, _ = inputs(batch=1, channels=1)
    weight = torch.zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1.0  # the middle tap alone
    offset = torch.zeros(1, 18, 5, 4)
    offset[:, 2 * 4 + 1] = 1.0  # x of the middle tap
    got = deform_conv2d(x, offset, torch.ones(1, 9, 5, 4), weight, None)
    assert torch.allclose(got[..., :-1], x[..., 1:], atol=1e-5)
    assert torch.allclose(got[..., -1], torch.zeros(5), atol=1e-5)


def test_equals_torchvision():
    try:
        from torchvision.ops import deform_conv2d as theirs
    except Exception as error:  # an installation that does not fit torch raises RuntimeError, an absent one ImportError
        pytest.skip(f"torchvision cannot be imported ({type(error).__name__})")
    x, offset, mask, weight, bias = inputs()
    expected = theirs(x, offset, weight, bias, padding=3, dilation=3, mask=mask)
    assert torch.allclose(deform_conv2d(x, offset, mask, weight, bias, 3, 3), expected, atol=1e-5)


def test_gradients():
    args = [a.double().requires_grad_() for a in inputs(batch=1, channels=2, outputs=2, groups=1, size=(3, 3))]
    assert torch.autograd.gradcheck(lambda *a: deform_conv2d(*a), args)


def test_bfloat16_autocast_keeps_the_positions():
    x, offset, mask, weight, bias = inputs(size=(2, 72), channels=4, batch=1)
    exact = deform_conv2d(x, offset, mask, weight, bias)
    with torch.autocast("cpu", torch.bfloat16):
        rough = deform_conv2d(x, offset, mask, weight, bias)
    assert (rough.float() - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.slow
def test_onnx_runtime_gives_the_same(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    layer = DeformConv2d(4, 3, groups=2, dilation=3).eval()
    x, offset, mask, _, _ = inputs()
    path = str(tmp_path / "deform.onnx")
    batch = {0: torch.export.Dim("batch")}
    program = torch.onnx.export(
        layer, (x, offset, mask), dynamo=True, opset_version=20, input_names=["x", "offset", "mask"],
        dynamic_shapes=(batch, batch, batch), verbose=False,
    )  # fmt: skip
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    wider = [torch.cat([a, a, a[:1]]) for a in (x, offset, mask)]  # another batch than it was exported with
    (got,) = session.run(None, {n: a.numpy() for n, a in zip(("x", "offset", "mask"), wider, strict=True)})
    with torch.no_grad():
        np.testing.assert_allclose(got, layer(*wider).numpy(), atol=1e-5)
