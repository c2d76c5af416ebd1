"""Do edits change what they should, and nothing else? A first look, for choosing a method.

    python benchmarks/edits.py runs/faces-20260101-120000 smiling --watch eyeglasses beard

The judge is a ridge regression from pixels to attributes, trained on up to 10,000 real training
images (of ``faces``: on faces whose attributes do not go together), with the threshold halfway
between the two groups' means.

Flip: the share judged to have the attribute after the edit, of images that lack it and whose
reconstruction is judged to lack it. Leak: how often the verdict on another attribute differs
between reconstruction and edit.
"""

import argparse

import numpy as np

from keras_vae import datasets, latent, runs

MOST = 10_000  # images of each kind


def judge_of(dataset):
    """Returns a function from images to verdicts, bool ``(n, number of attributes)``."""
    real = datasets.load("faces", correlated=False) if dataset.name == "faces" else dataset
    pixels = flat(real.train.images[:MOST])
    mean = pixels.mean(axis=0)
    pixels -= mean
    # In the dual, for which the number of images matters instead of that of pixels.
    kernel = pixels @ pixels.T
    penalty = 0.03 * np.trace(kernel) / len(kernel) * np.eye(len(kernel), dtype="float32")
    targets = 2 * real.train.attributes[:MOST].astype("float32") - 1
    weights = pixels.T @ np.linalg.solve(kernel + penalty, targets - targets.mean(axis=0))

    def score(images):
        return (flat(images) - mean) @ weights

    has, scores = real.validation.attributes[:MOST], score(real.validation.images[:MOST])
    with_it = (scores * has).sum(axis=0) / has.sum(axis=0)
    without = (scores * ~has).sum(axis=0) / (~has).sum(axis=0)
    return lambda images: score(images) > (with_it + without) / 2


def flat(images):
    pixels = images / np.float32(255) if images.dtype == np.uint8 else images
    return pixels.reshape(len(images), -1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("attribute")
    parser.add_argument("--watch", nargs="+", default=[], metavar="NAME")
    parser.add_argument("--strengths", nargs="+", type=float, default=[1, 1.5, 2, 3])
    parser.add_argument("--part", choices=("validation", "test"), default="validation")
    args = parser.parse_args()
    run = runs.load(args.run)
    data = runs.load_data(run.config)
    names = data.attribute_names
    this, watched = names.index(args.attribute), [names.index(name) for name in args.watch]
    split = getattr(data, args.part)[:MOST]
    judge = judge_of(data)

    z = latent.codes_of(run.model, split.images)
    reconstructed = judge(run.model.decode(z))
    for what, verdicts in (("photos", judge(split.images)), ("reconstructions", reconstructed)):
        right = verdicts == split.attributes
        accuracy = [balanced(right[:, j], split.attributes[:, j]) for j in (this, *watched)]
        print(f"balanced accuracy on {what:16}", *(f"{share:.3f}" for share in accuracy))
    rows = ~split.attributes[:, this] & ~reconstructed[:, this]
    print(f"{rows.sum()} images of {args.part} without {args.attribute}")
    train = data.train[:MOST]
    codes = latent.codes_of(run.model, train.images)
    print(f"{'method':16} strength  flip  leak:", *args.watch, "(all others: mean, largest)")
    for method in latent.METHODS:
        directions = latent.fit_directions(codes, train.attributes, names, method)
        for strength in args.strengths:
            shift = directions.shift({args.attribute: strength})
            verdicts = judge(run.model.decode(z[rows] + shift))
            leak = (verdicts != reconstructed[rows]).mean(axis=0)
            others = np.delete(leak, this)
            print(
                f"{method:16} {strength:8g}  {verdicts[:, this].mean():.3f}      ",
                *(f"{leak[j]:.3f}" for j in watched),
                f"({others.mean():.3f}, {others.max():.3f})",
            )


def balanced(right, has):
    return (right[has].mean() + right[~has].mean()) / 2


if __name__ == "__main__":
    main()
