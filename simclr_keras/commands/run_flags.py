"""Flags of where and how a command runs, in groups."""

from absl import flags

from simclr_keras.commands import flag_kinds


def define_run(values):
    """Where a run lives and how it runs."""
    flags.DEFINE_string(
        "model_dir",
        None,
        "Run directory: flags, checkpoints, logs and results; local, or such"
        " as gs://bucket/run. The same command in the same directory resumes.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "seed", 0, "Seed of everything random.", flag_values=values
    )
    flags.DEFINE_enum(
        "precision",
        "float32",
        ["auto", "float32", "bfloat16", "float16"],
        "Compute precision; weights, loss and statistics stay float32. auto:"
        " bfloat16 where the processor multiplies it, else float32.",
        flag_values=values,
    )
    flag_kinds.define_switch(
        "jit",
        "auto",
        "Compile the training step with XLA. auto: on one GPU; not on CPUs,"
        " where it slows convolutions, nor over several replicas. A TPU"
        " compiles in any case.",
        values,
    )
    flags.DEFINE_integer(
        "verbose",
        1,
        "Keras progress output: 0 none, 1 bar, 2 line per epoch.",
        lower_bound=0,
        upper_bound=2,
        flag_values=values,
    )


def define_strategy(values):
    """On which devices is trained."""
    flags.DEFINE_enum(
        "strategy",
        "auto",
        ["auto", "single", "mirrored", "multi_worker", "tpu"],
        "Devices that share the global batch. mirrored: all GPUs of this"
        " machine; multi_worker: the processes that TF_CONFIG names"
        " (tools/launch_local), or the tasks that SLURM's srun has started;"
        " auto: a TPU where one is configured, else such workers or tasks, else"
        " several GPUs, else one device.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "logical_cpus",
        0,
        "Split the CPU into so many replicas, to try them without GPUs.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_string(
        "tpu_name",
        None,
        "Name or address of a Cloud TPU; 'local' on a TPU VM. None: TPU_NAME.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "tpu_zone", None, "Google Cloud zone of the TPU.", flag_values=values
    )
    flags.DEFINE_string(
        "gcp_project",
        None,
        "Google Cloud project of the TPU.",
        flag_values=values,
    )


def define_logging(values):
    """Checkpoints and logs of a training."""
    flags.DEFINE_integer(
        "checkpoint_epochs",
        1,
        "Epochs between checkpoints; 0: by the next two flags and at the end.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "checkpoint_steps",
        0,
        "Steps between checkpoints, within epochs too; 0: none besides.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "checkpoint_minutes",
        0.0,
        "Minutes after which a checkpoint is written in any case; 0: none.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "keep_checkpoint_max",
        5,
        "How many of the newest checkpoints are kept, besides the best one; 0"
        " keeps all.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "log_every",
        50,
        "Steps between rows of metrics.csv and TensorBoard points.",
        lower_bound=0,
        flag_values=values,
    )


def define_speed(values):
    """How fast is trained, with the same numbers."""
    flags.DEFINE_enum(
        "cache",
        "auto",
        ["auto", "none", "memory", "disk"],
        "Where training images are kept decoded, so that later epochs need not"
        " decode them: memory, a file (disk), or nowhere. auto: in memory where"
        " they fit. Small images of one size are in memory in any case.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "cache_dir",
        None,
        "Directory of the files of --cache=disk, which other runs use too."
        " None: simclr_keras in XDG_CACHE_HOME, else in ~/.cache.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "cache_gib",
        0.0,
        "Most GiB that decoded images may take; 0: half of the memory, or of"
        " the room on the disk, that is free.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "steps_per_execution",
        1,
        "Training steps that run without a word to Python in between: for steps"
        " of a few milliseconds. Checkpoints, logs and signals wait for the end"
        " of an execution. One process only.",
        lower_bound=1,
        flag_values=values,
    )
    flag_kinds.define_interval(
        "profile_steps",
        "First and last step, such as 10,15, of which a TensorBoard profile is"
        " written. Steps count from 1. None: no profile.",
        values,
    )
