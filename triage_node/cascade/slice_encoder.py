"""The CNN of the cascade: one convolution map, one feature vector and the CNN's own logits per slice.

In: windowed slices (slices, input channels, rows, columns), 0 to 1. Out: ``SliceEncoding``. Of other slices the CNN sees at most
the two neighbours that may be among the channels; the rest is ``sequence_model``'s part. The paper (Ye et al. 2019) leaves its
backbone to a supplement that is not publicly stored: ``plain10`` is our choice for four CPU cores, ``vgg16_bn`` is what a later
paper names, the others are there to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn


class SliceEncoding(NamedTuple):
    """What the CNN says of each slice.

    Attributes
    ----------
    last_map : (slices, channels, height, width)
        After the last convolution; Grad-CAM differentiates to here.
    features : (slices, 2 x channels)
        The map's average and maximum.
    """

    last_map: Tensor
    features: Tensor


def pooled(last_map: Tensor) -> Tensor:
    """Average and maximum of a map (slices, channels, height, width) -> (slices, 2 x channels)."""
    return torch.cat([last_map.mean(dim=(2, 3)), last_map.amax(dim=(2, 3))], dim=1)


def _convolution(inputs: int, outputs: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A 3 x 3 convolution with batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def plain10(input_channels: int) -> tuple[nn.Sequential, int]:
    """Ten plain 3 x 3 convolutions; 1.0 M parameters, 0.39 GMAC and a 16 x 16 map at 256 x 256."""
    layers = [
        _convolution(input_channels, 16, stride=2),
        _convolution(16, 32, stride=2),
        _convolution(32, 32),
        _convolution(32, 32),
        _convolution(32, 64, stride=2),
        _convolution(64, 64),
        _convolution(64, 128, stride=2),
        _convolution(128, 128),
        _convolution(128, 192),
        _convolution(192, 256),
    ]
    return nn.Sequential(*layers), 256


def vgg16_bn(input_channels: int) -> tuple[nn.Sequential, int]:
    """VGG-16 with batch norm (Simonyan and Zisserman 2015, configuration D) up to its last convolution."""
    layers: list[nn.Module] = []
    inputs = input_channels
    for stage, (outputs, repeats) in enumerate(((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))):
        if stage:
            layers.append(nn.MaxPool2d(2))
        for _ in range(repeats):
            layers.append(_convolution(inputs, outputs))
            inputs = outputs
    return nn.Sequential(*layers), inputs


class _BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (He et al. 2016, Fig. 5 left)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            _convolution(inputs, outputs, stride=stride),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.path(maps) + self.shortcut(maps))


class _SqueezeExcitation(nn.Module):
    """Weigh channels by their means (Hu et al. 2018, equations 2 to 4)."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        weights: Tensor = self.weigh(maps.mean(dim=(2, 3)))
        return maps * weights[:, :, None, None]


class _ExcitedBottleneck(nn.Module):
    """The 32 x 4 ResNeXt bottleneck (Xie et al. 2017) with squeeze and excitation."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        width = outputs // 2
        self.path = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            _convolution(width, width, stride=stride, groups=32),
            nn.Conv2d(width, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            _SqueezeExcitation(outputs),
        )
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.path(maps) + self.shortcut(maps))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def _residual(
    input_channels: int, block: Callable[[int, int, int], nn.Module], widths: tuple[int, ...], repeats: tuple[int, ...]
) -> tuple[nn.Sequential, int]:
    stem = nn.Sequential(
        nn.Conv2d(input_channels, 64, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    )
    layers: list[nn.Module] = [stem]
    inputs = 64
    for stage, (outputs, count) in enumerate(zip(widths, repeats, strict=True)):
        for index in range(count):
            layers.append(block(inputs, outputs, 2 if stage and index == 0 else 1))
            inputs = outputs
    return nn.Sequential(*layers), inputs


def resnet18(input_channels: int) -> tuple[nn.Sequential, int]:
    """ResNet-18 (He et al. 2016, Table 1) up to its last map."""
    return _residual(input_channels, _BasicBlock, (64, 128, 256, 512), (2, 2, 2, 2))


def resnet34(input_channels: int) -> tuple[nn.Sequential, int]:
    """ResNet-34 (He et al. 2016, Table 1) up to its last map."""
    return _residual(input_channels, _BasicBlock, (64, 128, 256, 512), (3, 4, 6, 3))


def seresnext50(input_channels: int) -> tuple[nn.Sequential, int]:
    """SE-ResNeXt-50 (32 x 4) up to its last map."""
    return _residual(input_channels, _ExcitedBottleneck, (256, 512, 1024, 2048), (3, 4, 6, 3))


BACKBONES: Mapping[str, Callable[[int], tuple[nn.Sequential, int]]] = {
    "plain10": plain10,
    "vgg16_bn": vgg16_bn,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "seresnext50": seresnext50,
}


class SliceEncoder(nn.Module):
    """A backbone of ``BACKBONES`` with average and maximum pooling.

    Parameters
    ----------
    backbone
        A name in ``BACKBONES``.
    input_channels
        ``Architecture.input_channels``.
    """

    def __init__(self, backbone: str, input_channels: int) -> None:
        super().__init__()
        if backbone not in BACKBONES:
            raise ValueError(f"no backbone named {backbone!r}; there are {', '.join(BACKBONES)}")
        self.backbone_name = backbone
        self.backbone, self.channels = BACKBONES[backbone](input_channels)
        self.feature_count = 2 * self.channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, windowed: Tensor) -> SliceEncoding:
        """Encode (slices, input channels, rows, columns), 0 to 1."""
        last_map = self.backbone(windowed)
        return SliceEncoding(last_map, pooled(last_map))
