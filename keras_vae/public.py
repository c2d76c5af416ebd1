"""The public names of `keras_vae`. Importing them loads Keras and registers the classes with it."""

try:
    import keras as _  # noqa: F401
except ModuleNotFoundError as error:
    if error.name not in ("jax", "tensorflow", "torch"):
        raise
    raise ImportError(
        f"Keras would use the backend {error.name!r}, which is not installed. Set the environment "
        "variable KERAS_BACKEND to one that is ('jax', 'tensorflow' or 'torch') before Keras is "
        f'imported, or install it: pip install "keras_vae[{error.name}]"'
    ) from None

from keras_vae import datasets as datasets
from keras_vae import evaluate as evaluate
from keras_vae import export as export
from keras_vae import latent as latent
from keras_vae import likelihoods as likelihoods
from keras_vae import parallel as parallel
from keras_vae import photos as photos
from keras_vae import plots as plots
from keras_vae import priors as priors
from keras_vae import runs as runs
from keras_vae.layers import DepthToSpace as DepthToSpace
from keras_vae.layers import DynamicBinarization as DynamicBinarization
from keras_vae.layers import Sampling as Sampling
from keras_vae.models import bounds as bounds
from keras_vae.models import penalties as penalties
from keras_vae.models.autoencoder import AutoEncoder as AutoEncoder
from keras_vae.models.conditions import Condition as Condition
from keras_vae.models.vae import VAE as VAE
from keras_vae.networks import build_conv as build_conv
from keras_vae.networks import build_mlp as build_mlp
from keras_vae.networks import build_patches as build_patches
from keras_vae.training.checkpoint import Checkpoint as Checkpoint
