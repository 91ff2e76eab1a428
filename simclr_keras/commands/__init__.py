"""Runs the console commands; nothing else of the package reads flags.

A file named like a command defines its flags and lists its stages in `run`.
What several commands share:

- `cli` starts a command, shows its help and ends on errors; `command_line`
  reads its arguments, files of flags and recipes;
- `shared_flags` defines flags, of the kinds and in the groups of `flag_kinds`,
  without loading TensorFlow;
- `stages` sets up devices and the run directory and writes the results;
- `input_data` opens the images, `build` makes or loads the networks,
  `schedule` trains them, and `accuracy` measures their features.
"""
