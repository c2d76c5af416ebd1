"""The command line. Arguments are read, and mistakes reported, before Keras is loaded.

Nothing here imports `keras_vae` until a command runs, and `keras_vae` imports nothing from here.
"""
