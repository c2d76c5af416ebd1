"""`python -m demo`: the same as `keras-vae demo`."""

import sys

from keras_vae.commands.main import main

if __name__ == "__main__":
    sys.exit(main(["demo", *sys.argv[1:]]))
