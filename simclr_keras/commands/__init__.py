"""Runs the console commands; nothing else of the package reads flags.

A file named like a command defines its flags and lists its stages in `run`;
`classify` has what linear evaluation and fine-tuning share. Of what more share:

- `cli` starts a command, shows its help and ends on errors; `command_line`
  reads its arguments, files of flags and recipes;
- `image_flags` and `shared_flags` define flags, of the kinds and in the groups
  of `flag_kinds`;
- `stages` sets up devices and the run directory, trains, and writes results;
- `input_data` opens the images, and `build` makes or loads what is trained.

They use the package as its users do, by `import simclr_keras as sk`, whose
parts load TensorFlow when `run` first asks for one: help and wrong flags answer
before.
"""
