"""The classifiers that judge a data set's edits and samples: trained once, then cached."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from keras_vae import datasets
from keras_vae.datasets import cache
from keras_vae.datasets.names import favourite
from keras_vae.datasets.source import slug_of
from keras_vae.evaluate import classifiers
from keras_vae.evaluate.classifiers import PICTURES

VERSION = 1  # increase it when training changes, so that cached classifiers are not used
FILE = "classifier.keras"
TO_RECOGNISE = 10_000  # training pictures of a classifier that measures identity only


class Judges:
    """Classifiers of real images of one data set, each trained on first use.

    They are stored in the cache of decoded images (see `keras_vae.datasets.cache`) under a name
    that depends on their images and attributes, so that all runs on the same images have the same
    judges.

    Args:
        data: The `keras_vae.datasets.Dataset` that a model was trained on. For ``faces``, the
            judges are trained on faces whose glasses are independent of smiling.
        announce: Called with a line of text before each slow step.

    Example:

    ```python
    data = runs.load_data(runs.load().config)
    judges = Judges(data)
    judges.judge.logits(data.test.images) > 0
    judges.without("smiling").look(data.test.images)
    ```
    """

    def __init__(self, data, announce=lambda text: None):
        self.trained_on, self.announce, self.classifiers = data, announce, {}

    @cached_property
    def data(self):
        """The data set whose training images the judges learn."""
        # A folder or file may be called faces too, but only drawn images have factors.
        if self.trained_on.name != "faces" or not self.trained_on.factor_names:
            return self.trained_on
        self.announce("Loading faces with uncorrelated attributes ...")
        names = self.trained_on.attribute_names
        return datasets.load("faces", correlated=False, attributes=names)

    @property
    def judge(self):
        """The `Classifier` of all attributes, or None if no attribute can be learned."""
        return self._get(None)

    def without(self, name):
        """Returns the `Classifier` of all other attributes, or None if none can be learned."""
        return self._get(name)

    @property
    def cached(self):
        """Whether the cache holds two classifiers of this data set, maybe of other images."""
        return len(list(cache.folder().glob(f"{slug_of(self.trained_on.name)}-judge-*"))) >= 2

    def prepare(self):
        """Trains the classifiers for edits of the attribute of `names.favourite`."""
        return self.judge and self.without(favourite(self.data.attribute_names))

    def _get(self, excluded):
        if excluded not in self.classifiers:
            names = self.data.attribute_names
            columns = [j for j, name in enumerate(names) if name != excluded]
            what = "all attributes" if excluded is None else f"all attributes but {excluded}"
            pictures = PICTURES if excluded is None else TO_RECOGNISE
            found = self._load_or_train(columns, what, pictures) if columns else None
            self.classifiers[excluded] = found
        return self.classifiers[excluded]

    def _load_or_train(self, columns, what, pictures):
        train, names = self.data.train, [self.data.attribute_names[j] for j in columns]
        known = None if train.known is None else train.known[:, columns]
        images, attributes, names, known = classifiers.usable(
            train.images, train.attributes[:, columns], names, known
        )
        if not names:
            return None
        path = self._path(images, attributes, names, known, pictures)
        if found := load(path, names):
            return found
        self.announce(f"Training a judge of {what} on {len(images):,} real images ...")
        classifier = classifiers.train_classifier(
            images, attributes, names, pictures=pictures, known=known
        )
        return keep(classifier, path)

    def _path(self, images, attributes, names, known, pictures):
        content = hashlib.sha256(repr((VERSION, images.shape, names, pictures)).encode())
        content.update(np.ascontiguousarray(images))
        content.update(np.packbits(attributes))
        if not known.all():
            content.update(np.packbits(known))
        return cache.folder() / f"{slug_of(self.data.name)}-judge-{content.hexdigest()[:16]}"


def load(path, names):
    """Returns the classifier in a cache entry, or None if there is none or it is damaged."""
    if (path / FILE).is_file():
        with contextlib.suppress(Exception):  # a damaged file can raise any type of error
            return classifiers.Classifier(keras.saving.load_model(path / FILE), names)
    return None


def keep(classifier, path):
    """Writes a classifier to the cache if possible; returns the classifier to use."""
    with contextlib.suppress(OSError, NotImplementedError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with cache.lock_of(path):
            if found := load(path, classifier.names):  # written by another run meanwhile
                return found
            cache.remove(path)  # damaged
            unfinished = Path(tempfile.mkdtemp(".unfinished", f"{path.name}.", path.parent))
            try:
                classifier.network.save(unfinished / FILE)
                os.rename(unfinished, path)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return classifier
