"""The command line. Arguments are read, and mistakes reported, before Keras is loaded.

It imports `keras_vae` only when a command runs; `keras_vae` never imports it.
"""
