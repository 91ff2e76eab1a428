"""Holds code that commands share, and parts of a command that is long.

In the order of its use:

- `cli` starts a command, shows its help and reports errors; `command_line`
  reads its arguments, files of flags and recipes; `tensorflow_log` keeps the
  log lines of TensorFlow's C++ code out of its output;
- `image_flags`, `label_flags`, `shared_flags` and `user_callbacks` define
  flags; `flag_kinds` has the types and groups of flags, `flag_parsers` reads
  their text;
- `stages` sets up devices and the run directory, trains, and writes results;
  `training_checks` refuses flags of a training before that, `progress_output`
  chooses how progress is shown, and `next_command` names the command to run
  next;
- `input_data` opens images, `pretraining_data` those of a pre-training;
- `build` makes networks, views, loss and optimizer, `checkpoint` loads a
  trained model, `warm_start` the networks that a pre-training begins with;
- `classify` has the code common to linear evaluation and fine-tuning, for the
  kinds of labels in `tasks`; `classifier_training` trains;
- `embed_files`, `embedding_index` and `embed_pictures` write what
  `simclr-embed` is asked for.
"""
