"""Has what several commands share, in the order in which one meets it.

- `cli` starts a command, shows its help and ends on errors; `command_line`
  reads its arguments, files of flags and recipes; `tensorflow_log` keeps
  TensorFlow's own lines out of what it prints;
- `image_flags` and `shared_flags` define flags, of the kinds and in the groups
  of `flag_kinds`;
- `stages` sets up devices and the run directory, trains, and writes results;
  `progress_output` chooses what shows the progress;
- `input_data` opens the images, and `build` makes or loads what is trained;
  `warm_start` has the networks that a pre-training begins with;
- `classify` is what linear evaluation and fine-tuning have in common.
"""
