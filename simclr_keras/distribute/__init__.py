"""Trains on several devices and machines with `tf.distribute`.

`strategy` chooses the devices, `slurm` tells it the tasks of a SLURM job step,
and `limits` refuses batches and steps that replicas cannot run. `replicas`
communicates between replicas within a step, `workers` between processes
outside of a step; by it, `sharing` divides their work, and `votes` lets them
act together.
"""
