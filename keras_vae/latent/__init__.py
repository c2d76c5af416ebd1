"""Operations on codes: directions, edits, arithmetic, walks, sampling. NumPy in and out."""

from keras_vae.latent.directions import METHODS as METHODS
from keras_vae.latent.directions import Directions as Directions
from keras_vae.latent.directions import fit_directions as fit_directions
from keras_vae.latent.edits import Edits as Edits
from keras_vae.latent.edits import arithmetic as arithmetic
from keras_vae.latent.edits import codes_of as codes_of
from keras_vae.latent.edits import edit as edit
from keras_vae.latent.edits import group as group
from keras_vae.latent.edits import with_detail as with_detail
from keras_vae.latent.flow import Flow as Flow
from keras_vae.latent.flow_fitting import fit_flow as fit_flow
from keras_vae.latent.mixture import Mixture as Mixture
from keras_vae.latent.mixture import fit_mixture as fit_mixture
from keras_vae.latent.switches import Switches as Switches
from keras_vae.latent.switches import moved as moved
from keras_vae.latent.walks import carried as carried
from keras_vae.latent.walks import interpolate as interpolate
from keras_vae.latent.walks import kl_of_latents as kl_of_latents
from keras_vae.latent.walks import manifold as manifold
from keras_vae.latent.walks import order as order
from keras_vae.latent.walks import traverse as traverse
