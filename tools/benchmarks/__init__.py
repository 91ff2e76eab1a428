"""Measures this package beside plain Keras and keras-cv: `tools/benchmark`.

A suite is a module with `define_flags(parser)` for flags of its own, and
`run(options)`, which yields a `measure.Comparison` for each table.
"""
