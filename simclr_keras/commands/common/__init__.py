"""Holds the code that several commands share, in the order of its use.

- `cli` starts a command, shows its help and reports errors; `command_line`
  reads its arguments, files of flags and recipes; `tensorflow_log` keeps the
  log lines of TensorFlow's C++ code out of its output;
- `image_flags` and `shared_flags` define flags; `flag_kinds` has the types and
  groups of flags, `flag_parsers` reads their text;
- `stages` sets up devices and the run directory, trains, and writes results;
  `progress_output` chooses how progress is shown;
- `input_data` opens the images, and `build` makes or loads the model;
  `warm_start` makes the networks that a pre-training begins with, and
  `channel_settings` takes the number of channels from a checkpoint;
- `embedding_pictures` draws what `simclr-embed` shows;
- `classify` has the code common to linear evaluation and fine-tuning.
"""
