"""`python -m keras_vae`: the same commands as `keras-vae`, which starts faster."""

import sys

from keras_vae_cli.main import main

if __name__ == "__main__":
    sys.exit(main())
