"""Says of which class the model of a run is: `load_anew.py RUN_DIRECTORY`."""

import importlib
import sys

import forked


def main():
    """Loads it where no class of the package is known yet."""
    forked.forget_package()
    package = importlib.import_module("simclr_keras")
    print(type(package.training.load_model(sys.argv[1])).__name__)


if __name__ == "__main__":
    main()
