"""An image as what an optimizer changes: coefficients of frequencies in decorrelated colors.

Gradients for pixels favor high frequencies, which look like noise. With each frequency scaled as natural images have
it, and colors along the axes in which they vary, all converge alike. Constants: tensorflow/lucid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Columns: the directions in which the colors of ImageNet's pixels vary, each as long as its standard deviation.
COLORS = ((0.26, 0.09, 0.02), (0.27, 0.0, -0.05), (0.27, -0.09, 0.03))
DEVIATION = 0.01  # of the first coefficients
DECAY = 1.0  # amplitudes fall with the frequency to this power
DAMPING = 4.0
MARGIN = 0.02  # a start's values are kept off 0 and 1, which no finite coefficient gives


class FourierImage(nn.Module):
    """Images [N, 3, height, width] from 0 to 1, as coefficients of their frequencies.

    `start`, images of that form, is what they begin with, but for values within `MARGIN` of 0 and 1; by default they
    are noise around gray, drawn by `generator`. With `gray` all colors are alike.
    """

    def __init__(
        self,
        batch_size: int,
        height: int,
        width: int,
        generator: torch.Generator | None = None,
        *,
        start: Tensor | None = None,
        gray: bool = False,
    ):
        super().__init__()
        self.height, self.width, self.gray = height, width, gray
        self.register_buffer("scale", _scale(height, width), persistent=False)
        self.register_buffer("colors", decorrelation(), persistent=False)
        self.scale: Tensor
        self.colors: Tensor
        if start is None:
            shape = (batch_size, 1 if gray else 3, height, width // 2 + 1, 2)
            coefficients = torch.randn(shape, generator=generator) * DEVIATION
        else:
            coefficients = self._coefficients(start)
        self.coefficients = nn.Parameter(coefficients)

    def forward(self) -> Tensor:
        spectrum = torch.view_as_complex(self.coefficients) * self.scale
        x = torch.fft.irfft2(spectrum, s=(self.height, self.width), norm="ortho") / DAMPING
        x = x.expand(-1, 3, -1, -1) if self.gray else torch.einsum("rc,nchw->nrhw", self.colors, x)
        return x.sigmoid()

    def _coefficients(self, start: Tensor) -> Tensor:
        x = torch.logit(start.float().clamp(MARGIN, 1 - MARGIN))
        x = x.mean(1, keepdim=True) if self.gray else torch.einsum("rc,nchw->nrhw", torch.linalg.inv(self.colors), x)
        return torch.view_as_real(torch.fft.rfft2(x * DAMPING, norm="ortho") / self.scale).contiguous()


def decorrelation() -> Tensor:
    """[3, 3]: decorrelated colors to the RGB before the sigmoid. The longest column has length 1."""
    colors = torch.tensor(COLORS)
    longest: Tensor = torch.linalg.vector_norm(colors, dim=0).max()
    return colors / longest


def _scale(height: int, width: int) -> Tensor:
    """The amplitude of each frequency [height, width // 2 + 1]."""
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None, :])
    return frequency.clamp(min=1 / max(height, width)) ** -DECAY
