"""Trains on several devices and machines: everything of `tf.distribute`.

`strategy` chooses what to train on, `slurm` reads for it which tasks a job
step has, and `limits` refuses what replicas cannot run; `replicas` is called
inside the replicas' step, `workers` between steps, by processes that tell each
other something.
"""
