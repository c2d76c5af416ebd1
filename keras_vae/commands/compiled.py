"""Compiled programs that are kept for the next process."""


def keep_compiled():
    """Stores compiled programs in the cache, if the backend supports it."""
    from keras_vae.datasets import cache
    from keras_vae.training import backends

    backends.keep_compiled(cache.folder() / cache.COMPILED)
