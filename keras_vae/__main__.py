"""`python -m keras_vae`: the same as `keras-vae`, if that script is not on the path."""

import sys

from keras_vae.commands.main import main

if __name__ == "__main__":
    sys.exit(main())
