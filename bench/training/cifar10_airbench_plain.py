"""Peer of `cifar10`, no measurement: airbench94 as it is published, in plain torch on a processor.

    python -m bench.training.cifar10_airbench_plain FOLDER [SEED]

Written from its description (arXiv:2404.00498 and the repository's text on Muon): six 3x3 convolutions behind whitened
2x2 patches, Muon for the filters, 8 epochs in batches of 2,000, flips by turns, shifts by 2 pixels, six views. Here in
bf16 by autocast over fp32 weights and channels last; the caller lets the C library keep freed memory, without which it
takes a third longer. Images are decoded once. Prints [seconds, top-1, top-1 of six views] as JSON.
"""

import json
import sys
import time

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

WIDTHS, BATCH, EPOCHS = (64, 256, 256), 2000, 8
FILTER_RATE, BIAS_RATE, HEAD_RATE, DECAY = 0.24, 0.053, 0.67, 2e-6 * BATCH
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(1, 3, 1, 1)
STD = torch.tensor([0.247, 0.2435, 0.2616]).view(1, 3, 1, 1)


class Norm(nn.BatchNorm2d):
    def __init__(self, channels: int):
        super().__init__(channels, eps=1e-12, momentum=0.4)
        self.weight.requires_grad_(False)


class Network(nn.Module):
    def __init__(self, patches: Tensor):
        super().__init__()
        self.whiten = nn.Conv2d(3, 24, 2)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors.T / (values + 5e-4).sqrt()[:, None]).flip(0).view(12, 3, 2, 2)
        self.whiten.weight.data.copy_(torch.cat([filters, -filters]))
        self.whiten.weight.requires_grad_(False)
        nn.init.zeros_(self.whiten.bias)  # type: ignore[arg-type]
        layers: list[nn.Module] = [nn.GELU()]
        before = 24
        for width in WIDTHS:
            first = nn.Conv2d(before, width, 3, padding="same", bias=False)
            second = nn.Conv2d(width, width, 3, padding="same", bias=False)
            for conv in (first, second):
                nn.init.dirac_(conv.weight[: conv.in_channels])
            layers += [first, nn.MaxPool2d(2), Norm(width), nn.GELU(), second, Norm(width), nn.GELU()]
            before = width
        self.layers = nn.Sequential(*layers, nn.MaxPool2d(3), nn.Flatten())
        self.head = nn.Linear(before, 10, bias=False)
        self.head.weight.data /= self.head.weight.data.std()

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.whiten(x))
        logits: Tensor = self.head(x) / x.shape[1]
        return logits


def orthogonal(x: Tensor) -> Tensor:
    x = x.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(3):
        square = x @ x.T
        x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
    return x.T if tall else x


def read(folder: str) -> tuple[Tensor, Tensor]:
    data = ImageFolder(folder)
    images = torch.stack([pil_to_tensor(image) for image, _ in data])
    return images.to(DEVICE, memory_format=torch.channels_last), torch.tensor(data.targets).to(DEVICE)


def prepared(images: Tensor) -> Tensor:
    normalized = (images.float() / 255 - MEAN.to(DEVICE)) / STD.to(DEVICE)
    return normalized.contiguous(memory_format=torch.channels_last)


def shifted(images: Tensor) -> Tensor:
    padded, found = F.pad(images.float(), (2, 2, 2, 2), mode="reflect").to(torch.uint8), torch.empty_like(images)
    downs, rights = torch.randint(0, 5, (2, len(images)), device=DEVICE)
    for down in range(5):
        for right in range(5):
            chosen = (downs == down) & (rights == right)
            found[chosen] = padded[chosen, :, down : down + 32, right : right + 32]
    return found


def main(folder: str, seed: int) -> None:
    began = time.perf_counter()
    torch.manual_seed(seed)
    images, labels = read(f"{folder}/train")
    patches = prepared(images[torch.randperm(len(images))[:5000]]).unfold(2, 2, 1).unfold(3, 2, 1)
    model = Network(patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, 12).cpu())
    model = model.to(DEVICE).to(memory_format=torch.channels_last)
    filters = [each for each in model.parameters() if each.ndim == 4 and each.requires_grad]
    biases = [each.bias for each in model.layers if isinstance(each, Norm)]
    groups = [([model.whiten.bias], BIAS_RATE), (biases, BIAS_RATE), ([model.head.weight], HEAD_RATE)]
    sgd = torch.optim.SGD(
        [{"params": params, "lr": rate, "weight_decay": DECAY / rate} for params, rate in groups],
        momentum=0.85,
        nesterov=True,
    )
    moments = [torch.zeros_like(each) for each in filters]
    flips = torch.rand(len(images), device=DEVICE) < 0.5
    steps, done = EPOCHS * (len(images) // BATCH), 0
    for epoch in range(EPOCHS):
        for batch in torch.randperm(len(images)).view(-1, BATCH):
            left = 1 - done / steps
            x, flipped = images[batch], flips[batch] ^ (epoch % 2 == 1)
            x = prepared(shifted(torch.where(flipped.view(-1, 1, 1, 1), x.flip(3), x)))
            model.zero_grad()
            with torch.autocast(DEVICE, torch.bfloat16):
                logits = model(x)
            F.cross_entropy(logits.float(), labels[batch], label_smoothing=0.2, reduction="sum").backward()  # type: ignore[no-untyped-call]
            for number, (group, (_, rate)) in enumerate(zip(sgd.param_groups, groups, strict=True)):
                group["lr"] = rate * (max(0.0, 1 - done / (3 * steps / EPOCHS)) if number == 0 else left)
            sgd.step()
            with torch.no_grad():
                for weight, moment in zip(filters, moments, strict=True):
                    gradient = weight.grad
                    assert gradient is not None
                    moment.mul_(0.6).add_(gradient)
                    weight.mul_(len(weight) ** 0.5 / weight.norm())
                    update = orthogonal(gradient.add(moment, alpha=0.6).flatten(1)).view_as(weight)
                    weight.sub_(update, alpha=FILTER_RATE * left)
            done += 1
        print(f"epoch {epoch + 1}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    seconds = time.perf_counter() - began
    model.eval()
    images, labels = read(f"{folder}/test")
    right = [0, 0]
    with torch.inference_mode(), torch.autocast(DEVICE, torch.bfloat16):
        for x, y in zip(prepared(images).view(-1, 500, 3, 32, 32), labels.view(-1, 500), strict=True):
            padded = F.pad(x, (1, 1, 1, 1), mode="reflect")
            views = [(x, 0.5), (padded[:, :, :32, :32], 0.25), (padded[:, :, 2:, 2:], 0.25)]
            both = [weight * (model(view) + model(view.flip(3))).float() for view, weight in views]
            for place, logits in enumerate((model(x).float(), torch.stack(both).sum(0))):
                right[place] += int((logits.argmax(1) == y).sum())
    print(json.dumps([seconds, *(count / len(labels) for count in right)]))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 0)
