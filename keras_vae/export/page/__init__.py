"""A page without a server: static files that edit and draw images in the visitor's browser."""

from keras_vae.export.page.write import write as write
