"""Says of which class a saved model is: `load_anew.py RUN_OR_KERAS_FILE`."""

import importlib
import sys

import forked
import keras


def main():
    """Loads it, a `.keras` file by Keras, after only importing the package."""
    forked.forget_package()
    package = importlib.import_module("simclr_keras")
    if sys.argv[1].endswith(".keras"):
        load = keras.models.load_model
    else:
        load = package.training.load_model
    print(type(load(sys.argv[1])).__name__)


if __name__ == "__main__":
    main()
