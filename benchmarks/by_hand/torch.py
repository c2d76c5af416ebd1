"""Plain torch: modules of its own, fused Adam, the data one tensor on the device.

Convolutions run on channels-last memory, as torch advises: tensors are ``(n, height, width,
channels)`` and a convolution sees them by `permute`, which moves nothing.
"""

import math
import shutil

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

# The compiler of torch writes C++ (on a GPU Triton, which needs a C compiler as well).
WAYS = ("eager", "torch.compile") if shutil.which("g++") or shutil.which("clang++") else ("eager",)


class Loop:
    def __init__(self, case, parameters, images, pixel_mean, steps, precision, how="eager"):
        self.case, self.steps = case, steps
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.images = torch.from_numpy(images).to(self.device)
        self.model = Model(case, parameters, pixel_mean, precision).to(self.device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), case.learning_rate, betas=(0.9, 0.98), eps=1e-7, fused=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: share_of_peak(step, steps)
        )
        self.losses = self.model
        if how == "torch.compile":
            self.losses = torch.compile(self.model, dynamic=False)

    def epoch(self):
        """Trains on each image once; returns the mean reconstruction loss and KL."""
        order = torch.randperm(len(self.images), device=self.device)
        totals = torch.zeros(2, device=self.device)
        for indices in order.split(self.case.batch_size):
            totals += len(indices) * self.step(self.images[indices])
        return (totals / len(order)).cpu().numpy()  # waits for the device

    def step(self, x):
        # The last batch is a smaller one; a program of its own would not pay.
        whole = len(x) == self.case.batch_size
        losses = (self.losses if whole else self.model)(x)
        self.optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        self.optimizer.step()
        self.schedule.step()
        return losses.detach()


class Model(nn.Module):
    """Images to the pair of losses."""

    def __init__(self, case, parameters, pixel_mean, precision):
        super().__init__()
        self.case, self.pixel_mean, self.precision = case, pixel_mean, precision
        self.encoder = nn.ModuleList(Block(case, *layer) for layer in parameters["encoder"])
        self.z_mean = linear(*parameters["z_mean"])
        self.z_log_var = linear(*parameters["z_log_var"])
        self.decoder = nn.ModuleList(Block(case, *layer) for layer in parameters["decoder"])
        kernel, offset = parameters["outputs"]
        if case.network == "mlp":
            self.outputs = linear(kernel, offset.ravel())
        else:
            self.outputs = convolution(kernel)
            self.offset = nn.Parameter(torch.from_numpy(offset))
        self.register_buffer("variance", torch.tensor(0.5))
        self.register_buffer("updates", torch.tensor(0.0))

    def forward(self, images):
        x = images.float() / 255
        z_mean, z_log_var = self.encode(x)
        z = z_mean + torch.exp(z_log_var / 2) * torch.randn_like(z_mean)
        pixels = torch.sigmoid(self.decode(z))
        errors = (x - pixels).square().sum((1, 2, 3)).mean()
        kl = -0.5 * (1 + z_log_var - z_mean.square() - z_log_var.exp()).sum(1).mean()
        return torch.stack([self.nats(errors), kl])

    def encode(self, x):
        with self.lower_precision():
            x = x - self.pixel_mean
            x = x if self.case.network == "conv" else x.flatten(1)
            for block in self.encoder:
                x = block(x)
        x = x.flatten(1).float()
        return self.z_mean(x), self.z_log_var(x)

    def decode(self, x):
        case = self.case
        height, width, channels = case.image_shape
        with self.lower_precision():
            for number, block in enumerate(self.decoder):
                at_positions = case.network == "conv" and number == 1
                x = block(x, (height // case.patch, width // case.patch) if at_positions else ())
        x = x.float()
        if case.network == "mlp":
            return self.outputs(x).view(-1, *case.image_shape)
        x = on_channels_last(self.outputs, x)
        x = x.unflatten(3, (case.patch, case.patch, channels))
        x = x.permute(0, 1, 3, 2, 4, 5).reshape(-1, height, width, channels)
        return x + self.offset

    def lower_precision(self):
        enabled = self.precision == "mixed_bfloat16"
        return torch.autocast(self.variance.device.type, torch.bfloat16, enabled=enabled)

    def nats(self, errors):
        """Returns the reconstruction loss; the variance learns from the batch first."""
        if self.case.likelihood == "mse":
            return errors
        values = math.prod(self.case.image_shape)
        with torch.no_grad():
            self.updates += 1
            rate = (1 / self.updates).clamp(min=0.05)
            self.variance.lerp_(errors / values, rate).clamp_(min=1 / 255**2)
        variance = self.variance.clone()  # the next step changes it before `backward` is over
        return values / 2 * torch.log(2 * math.pi * variance) + errors / (2 * variance)


class Block(nn.Module):
    """A dense or convolutional layer, normalisation, activation."""

    def __init__(self, case, kernel, bias, scale):
        super().__init__()
        self.layer = linear(kernel, bias) if kernel.ndim == 2 else convolution(kernel, bias)
        self.scale = nn.Parameter(torch.from_numpy(scale))
        self.activate = getattr(F, case.activation)

    def forward(self, x, positions=()):
        is_dense = isinstance(self.layer, nn.Linear)
        x = self.layer(x) if is_dense else on_channels_last(self.layer, x)
        x = x.unflatten(1, (*positions, -1)) if positions else x
        x = F.rms_norm(x, self.scale.shape, self.scale.to(x.dtype), 1e-6)
        return self.activate(x)


def linear(kernel, bias):
    layer = nn.Linear(*kernel.shape)
    return with_weights(layer, kernel.T, bias)


def convolution(kernel, bias=None):
    size, _, taken, given = kernel.shape
    # Of even size are those that read the image in patches.
    same, stride = (size // 2, 1) if size % 2 else (0, size)
    layer = nn.Conv2d(taken, given, size, stride, same, bias=bias is not None)
    layer = with_weights(layer, kernel.transpose(3, 2, 0, 1), bias)
    return layer.to(memory_format=torch.channels_last)


def with_weights(layer, kernel, bias):
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
        if bias is not None:
            layer.bias.copy_(torch.from_numpy(bias))
    return layer


def on_channels_last(layer, x):
    return layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


def share_of_peak(step, steps):
    warmup = max(1, steps // 20)
    if step < warmup:
        return 0.05 + 0.95 * step / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1, (step - warmup) / max(1, steps - warmup))))
