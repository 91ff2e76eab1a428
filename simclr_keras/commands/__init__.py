"""Runs the console commands: a file each, and what they have in common.

A file defines the flags of its command and lists its stages in `run`.
`study_plan` plans and checks what a study runs; all else that commands share
is in `common`. Nothing else of the package reads flags.

They use the package as its users do, by `import simclr_keras as sk`, whose
parts load TensorFlow when `run` first asks for one: help and wrong flags answer
before.
"""
