"""Runs the console commands; nothing else of the package reads flags.

A file named like a command defines its flags and lists its stages in `run`.
What several commands share:

- `cli` parses a command line, shows the help and ends on errors;
- `flag_kinds`, `data_flags`, `model_flags` and `run_flags` define flags, in the
  groups of `--help`, without loading TensorFlow;
- `stages` sets up devices and the run directory and writes the results;
- `input_data` opens the images, `build` makes or loads the networks,
  `schedule` trains them, and `accuracy` measures their features.
"""
