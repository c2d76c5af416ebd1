"""Pictures of what a model does. Each function returns a matplotlib figure; none shows it."""

from keras_vae.plots.canvas import DPI as DPI
from keras_vae.plots.canvas import grid as grid
from keras_vae.plots.charts import history as history
from keras_vae.plots.charts import latent_map as latent_map
from keras_vae.plots.charts import latents as latents
from keras_vae.plots.charts import project as project
from keras_vae.plots.pictures import arithmetic as arithmetic
from keras_vae.plots.pictures import data as data
from keras_vae.plots.pictures import interpolation as interpolation
from keras_vae.plots.pictures import manifold as manifold
from keras_vae.plots.pictures import reconstructions as reconstructions
from keras_vae.plots.pictures import samples as samples
from keras_vae.plots.pictures import traversal as traversal
