"""Checks that a loop by hand trains the same model as `fit`, so that their speeds compare."""

import dataclasses

import by_hand
import numpy as np
from cases import make_images, make_model

STEPS = 4


def losses_of_both(case, precision="float32", how=None):
    """Returns the losses of a few steps of `fit`, and of the same steps of the loop by hand.

    Each is ``(STEPS, 2)``, reconstruction loss and KL. The initial weights are the same. Each
    framework has its own random generator, so a tiny ``z_log_var`` makes the noise negligible.
    Later steps also compare gradients, optimizer and schedule.
    """
    module = by_hand.framework()
    images = make_images(case, 32)
    case = dataclasses.replace(case, batch_size=len(images))
    pixel_mean = float(images.mean() / 255)
    model = make_model(case, pixel_mean, 2 * STEPS)
    suppress_noise(model)
    loop = module.Loop(
        case,
        by_hand.parameters(model),
        images,
        pixel_mean,
        2 * STEPS,
        precision,
        how or module.WAYS[0],
    )
    history = model.fit(
        images, batch_size=len(images), epochs=STEPS, shuffle=False, verbose=0
    ).history
    ours = np.stack([history["reconstruction_loss"], history["kl_loss"]], axis=1)
    return ours, np.stack([loop.epoch() for _ in range(STEPS)])


def suppress_noise(model):
    """Sets the weights of ``z_log_var`` so that it is -60 for every image."""
    kernel, bias = model.encoder.get_layer("z_log_var").weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign(np.full(bias.shape, -60))


def check(case, precision="float32", tolerance=1e-4):
    """Raises `AssertionError` unless both have the same losses.

    The first losses must agree to the relative tolerance; later ones, with accumulated rounding
    errors, to ten times the tolerance.
    """
    ours, theirs = losses_of_both(case, precision)
    for step, (one, other) in enumerate(zip(ours, theirs)):
        np.testing.assert_allclose(
            other,
            one,
            rtol=tolerance * (10 if step else 1),
            err_msg=f"{case.network}: reconstruction loss and KL at step {step + 1} differ between "
            "the loop by hand and `fit`",
        )
