"""Anomalies and missing values in tables of scikit-learn, beside its own methods.

    pip install scikit-learn
    python benchmarks/tables.py --seeds 5

Anomalies: a class is held out (another one for each seed), models are trained on 60 % of the other
rows, and the area under the ROC curve says how well a score separates the held-out class from the
remaining 20 % (20 % are for validation). Missing values: 30 % of all values are hidden at random,
models are trained on the rest, and the root of the mean squared error of what they put there is
reported in standard deviations.
"""

import argparse
import os
import statistics
import warnings

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np

import keras_vae
from keras_vae import evaluate
from keras_vae.likelihoods import Normal

HIDDEN, LATENTS, EPOCHS, PATIENCE = (128, 128), 8, 400, 40
SHARE_MISSING = 0.3


def tables():
    from sklearn import datasets

    loaders = {
        "digits": datasets.load_digits,
        "breast cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "diabetes": datasets.load_diabetes,
    }
    return {name: load(return_X_y=True) for name, load in loaders.items()}


def train(x, validation, seed, missing=False):
    keras.utils.set_random_seed(seed)
    columns = x.shape[1]
    parts = keras_vae.build_mlp((columns,), min(LATENTS, columns - 1), HIDDEN, "silu")
    model = keras_vae.VAE(*parts, Normal(missing=missing), seed=seed)
    model.compile(keras.optimizers.Adam(1e-3))
    stop = keras.callbacks.EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
    model.fit(
        x, validation_data=(validation,), batch_size=64, epochs=EPOCHS, callbacks=[stop], verbose=0
    )
    return model


def anomalies(x, y, seed):
    from sklearn.decomposition import PCA
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import roc_auc_score
    from sklearn.preprocessing import StandardScaler

    held_out = y == np.unique(y)[seed % len(np.unique(y))]
    usual = np.random.default_rng(seed).permutation(np.flatnonzero(~held_out))
    training, validation, rest = np.split(x[usual], [int(0.6 * len(usual)), int(0.8 * len(usual))])
    test = np.concatenate([rest, x[held_out]])
    truth = np.arange(len(test)) >= len(rest)
    model = train(training, validation, seed)
    scores = evaluate.anomaly_scores(model, test, validation, k=100, batch_size=2000)
    scaler = StandardScaler().fit(training)
    scaled, scaled_test = scaler.transform(training), scaler.transform(test)
    latents = min(LATENTS, x.shape[1] - 1)
    pca = PCA(latents, random_state=seed).fit(scaled)
    errors = scaled_test - pca.inverse_transform(pca.transform(scaled_test))
    scores["PCA: squared error"] = np.square(errors).sum(axis=1)
    scores["PCA: negative log-likelihood"] = -pca.score_samples(scaled_test)
    forest = IsolationForest(random_state=seed).fit(scaled)
    scores["isolation forest"] = -forest.score_samples(scaled_test)
    return {name: roc_auc_score(truth, score) for name, score in scores.items()}


def imputation(x, seed):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    x = x[:, x.std(axis=0) > 0]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    rng = np.random.default_rng(seed)
    missing = rng.random(x.shape) < SHARE_MISSING
    holes = np.where(missing, np.nan, x)
    order = rng.permutation(len(x))
    few = len(x) // 5
    model = train(holes[order[few:]], holes[order[:few]], seed, missing=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of rounds that did not converge
        iterative = IterativeImputer(random_state=seed).fit_transform(holes)
    found = {
        "VAE": model.impute(holes, k=200, batch_size=4000),
        "iterative imputer": iterative,
        "mean": np.broadcast_to(np.nanmean(holes, axis=0), x.shape),
    }
    return {name: np.sqrt(np.mean((v - x)[missing] ** 2)) for name, v in found.items()}


def show(title, results):
    print(f"\n{title}, median (lowest to highest) of {len(results)} seeds")
    for name in results[0]:
        numbers = [result[name] for result in results]
        median = statistics.median(numbers)
        print(f"  {name:30} {median:.3f} ({min(numbers):.3f} to {max(numbers):.3f})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for name, (x, y) in tables().items():
        if name != "diabetes":  # which has no classes
            show(f"{name}: area under the ROC curve", [anomalies(x, y, seed) for seed in seeds])
        show(f"{name}: error of imputed values", [imputation(x, seed) for seed in seeds])


if __name__ == "__main__":
    main()
