"""Figures of models and data. Each function returns a matplotlib `Figure` and displays nothing."""

from keras_vae.plots.canvas import DPI as DPI
from keras_vae.plots.canvas import grid as grid
from keras_vae.plots.charts import history as history
from keras_vae.plots.charts import latent_map as latent_map
from keras_vae.plots.charts import latents as latents
from keras_vae.plots.charts import plane as plane
from keras_vae.plots.charts import project as project
from keras_vae.plots.evaluation import EVALUATION as EVALUATION
from keras_vae.plots.evaluation import evaluation as evaluation
from keras_vae.plots.heat import heat_maps as heat_maps
from keras_vae.plots.motion import animation as animation
from keras_vae.plots.strips import data as data
from keras_vae.plots.strips import edits as edits
from keras_vae.plots.strips import interpolation as interpolation
from keras_vae.plots.strips import manifold as manifold
from keras_vae.plots.strips import reconstructions as reconstructions
from keras_vae.plots.strips import samples as samples
from keras_vae.plots.strips import traversal as traversal
from keras_vae.plots.values import arrays as arrays
from keras_vae.plots.values import columns as columns
from keras_vae.plots.values import pairs as pairs
