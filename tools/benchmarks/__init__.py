"""Compares the speed and memory of this package with plain Keras and keras-cv.

`tools/benchmark` runs it. A suite is a module with `define_flags(parser)`, for
its additional flags, and `run(options)`, which yields a `measure.Comparison`
for each table.
"""
