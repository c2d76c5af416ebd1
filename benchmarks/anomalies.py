"""Anomalies among images: the three scores of `anomaly_scores`, beside methods of scikit-learn.

    pip install scikit-learn
    python benchmarks/anomalies.py --seeds 5
    python benchmarks/anomalies.py --seeds 5 --likelihood gaussian

Two questions, each answered by the area under the ROC curve: of 1,000 usual and up to 1,000
anomalous test images, how well does a score separate them?

- MNIST with one class held out, another one for each seed (seed 3: the threes): the model is
  trained on the other nine, and test images of the nine are usual.
- Fashion-MNIST against MNIST: the model is trained on clothes; digits are anomalous.

Models are trained on all training images of what is usual. The default likelihood is a probability
of uint8 pixels; `gaussian` is a density of continuous ones.
"""

import argparse
import os
import statistics

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import keras_vae
from keras_vae import datasets, evaluate
from keras_vae.training import recipes

HIDDEN, LATENTS, EPOCHS, BATCH = (384, 384), 32, 7, 128
IMAGES, DRAWS = 1000, 50  # usual, anomalous and reference images; draws of z for each


def held_out(digits, seed):
    """Returns images of nine digits to train on, for reference and for the test, and the tenth."""
    splits = (digits.train, digits.validation, digits.test)
    kept = [split.labels != seed % 10 for split in splits]
    usual = [split.images[keep] for split, keep in zip(splits, kept)]
    return *usual, digits.test.images[~kept[-1]]


def train(images, likelihood, seed):
    keras.utils.set_random_seed(seed)
    mean = images[:1000].mean(axis=0) / 255
    shape = images.shape[1:]
    parts = keras_vae.build_mlp(shape, LATENTS, HIDDEN, "silu", pixel_mean=mean, straight=True)
    model = keras_vae.VAE(*parts, likelihood, seed=seed)
    model.compile(recipes.make_optimizer(4e-3, steps=EPOCHS * -(-len(images) // BATCH)))
    model.fit(images, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model


def areas(training, validation, usual, anomalous, likelihood, seed):
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(seed)
    usual, anomalous = (rng.permutation(images)[:IMAGES] for images in (usual, anomalous))
    test = np.concatenate([usual, anomalous])
    truth = np.arange(len(test)) >= len(usual)
    model = train(training, likelihood, seed)
    scores = evaluate.anomaly_scores(model, test, validation[:IMAGES], k=DRAWS, batch_size=1000)
    nats = scores["negative_log_likelihood"]
    print(
        f"seed {seed}: -log p(x) is {nats[~truth].mean():.0f} nats of usual images, "
        f"{nats[truth].mean():.0f} of anomalous ones",
        flush=True,
    )
    rows, test_rows = (x.reshape(len(x), -1).astype("float32") / 255 for x in (training, test))
    pca = PCA(LATENTS, random_state=seed).fit(rows)
    errors = test_rows - pca.inverse_transform(pca.transform(test_rows))
    scores["PCA: squared error"] = np.square(errors).sum(axis=1)
    scores["PCA: negative log-likelihood"] = -pca.score_samples(test_rows)
    forest = IsolationForest(random_state=seed).fit(rows)
    scores["isolation forest"] = -forest.score_samples(test_rows)
    return {name: roc_auc_score(truth, score) for name, score in scores.items()}


def show(title, results):
    print(f"\n{title}, median (lowest to highest) of {len(results)} seeds: each seed")
    for name in results[0]:
        numbers = [result[name] for result in results]
        median = statistics.median(numbers)
        each = " ".join(f"{number:.3f}" for number in numbers)
        print(f"  {name:30} {median:.3f} ({min(numbers):.3f} to {max(numbers):.3f}): {each}")
    print(flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--likelihood", default="discretized_logistic")
    args = parser.parse_args()
    seeds = range(args.seeds)
    digits, clothes = datasets.load("mnist"), datasets.load("fashion_mnist")
    found = [areas(*held_out(digits, seed), args.likelihood, seed) for seed in seeds]
    show("A digit held out", found)
    usual = clothes.train.images, clothes.validation.images, clothes.test.images
    found = [areas(*usual, digits.test.images, args.likelihood, seed) for seed in seeds]
    show("Clothes against digits", found)


if __name__ == "__main__":
    main()
