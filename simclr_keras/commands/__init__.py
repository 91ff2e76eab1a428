"""Runs the console commands: one module each, and the code they share.

The module of a command defines its flags and lists its stages in `run`.
`study_plan` plans and checks the runs of a study; `common` has all other code
that the commands share. Other parts of the package that know flags are the
studies, and those that read the `flags.txt` of runs: `old_runs`,
`training.run_directory` and `report`.

Commands use the package as its users do, by `import simclr_keras as sk`.
TensorFlow is loaded when `run` first uses a part of it, so `--help` and errors
in flags come without that wait.
"""
