"""Defines the flags of the devices that compute, and of where a run lies."""

from simclr_keras import choices
from simclr_keras.commands.flag_kinds import Group


def define_run(values):
    """Defines where a run lies, and in which precision it computes."""
    run = Group(values, "run")
    run.path(
        "model_dir",
        None,
        "Run directory: flags, checkpoints, logs and results; local, or such"
        " as gs://bucket/run. The same command in the same directory resumes.",
        may_change=True,
    )
    run.integer("seed", 0, "Seed of everything random.")
    run.integer(
        "verbose",
        1,
        "Keras progress output: 0 none, 1 bar, 2 line per epoch.",
        least=0,
        most=2,
        may_change=True,
    )
    devices = Group(values, "devices")
    devices.choice(
        "precision",
        "float32",
        ["auto", "float32", "bfloat16", "float16"],
        "Compute precision; weights, loss and statistics stay float32. auto:"
        " bfloat16 where the processor multiplies it, else float32.",
    )
    devices.switch(
        "jit",
        "auto",
        "Compile the training step with XLA. auto: on one GPU; not on CPUs,"
        " where it slows convolutions, nor over several replicas. A TPU"
        " compiles in any case.",
        may_change=True,  # it rounds otherwise, as more devices do, too
    )


def define_replicas(values):
    """Defines on which devices is trained."""
    devices = Group(values, "devices")
    devices.choice(
        "strategy",
        "auto",
        choices.STRATEGIES,
        "Devices that share the global batch. mirrored: all GPUs of this"
        " machine; multi_worker: the processes that TF_CONFIG names"
        " (tools/launch_local), or the tasks that SLURM's srun has started;"
        " auto: a TPU where one is configured, else such workers or tasks, else"
        " several GPUs, else one device.",
        may_change=True,
    )
    devices.integer(
        "logical_cpus",
        0,
        "Split the CPU into so many replicas, to try them without GPUs.",
        least=0,
        may_change=True,
    )
    devices.string(
        "tpu_name",
        None,
        "Name or address of a Cloud TPU; 'local' on a TPU VM. None: TPU_NAME.",
        may_change=True,
    )
    devices.string(
        "tpu_zone", None, "Google Cloud zone of the TPU.", may_change=True
    )
    devices.string(
        "gcp_project",
        None,
        "Google Cloud project of the TPU.",
        may_change=True,
    )
    devices.integer(
        "steps_per_execution",
        1,
        "Training steps that run without a return to Python in between: for"
        " steps of a few milliseconds. Checkpoints, logs and signals wait for"
        " the end of an execution. One process only.",
        least=1,
    )


def define_checkpoints(values):
    """Defines the checkpoints and logs of a training."""
    run = Group(values, "run")
    run.integer(
        "checkpoint_epochs",
        1,
        "Epochs between checkpoints; 0: by the next two flags and at the end.",
        least=0,
        may_change=True,
    )
    run.integer(
        "checkpoint_steps",
        0,
        "Steps between checkpoints, within epochs too; 0: none besides.",
        least=0,
        may_change=True,
    )
    run.float(
        "checkpoint_minutes",
        0.0,
        "Minutes after which a checkpoint is written in any case; 0: none.",
        least=0.0,
        may_change=True,
    )
    run.integer(
        "keep_checkpoint_max",
        5,
        "How many of the newest checkpoints are kept, besides the best one; 0"
        " keeps all.",
        least=0,
        may_change=True,
    )
    run.integer(
        "log_every",
        50,
        "Steps between rows of metrics.csv and TensorBoard points.",
        least=0,
    )
    run.interval(
        "profile_steps",
        "First and last step, such as 10,15, of which a TensorBoard profile is"
        " written. Steps count from 1. None: no profile.",
        may_change=True,
    )
