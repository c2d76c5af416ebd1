"""`python -m keras_vae_cli`: the commands where the script `keras-vae` is not on the path."""

import sys

from keras_vae_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
