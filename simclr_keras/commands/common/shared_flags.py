"""Defines flags that several commands have, except those of the images.

These are the flags of networks, training, devices and the run directory.
"""

from simclr_keras import choices
from simclr_keras.commands.common import user_callbacks
from simclr_keras.commands.common.flag_kinds import Group

# Name -> default of the flags that describe the encoder.
NETWORK = {
    "encoder": "resnet",
    "resnet_depth": "50",
    "width_multiplier": 1.0,
    "sk_ratio": 0.0,
    "se_ratio": 0.0,
    "global_bn": True,
    "stem": "auto",
}
TRAINED_MODEL = (
    "a run directory, a checkpoint in it, a .keras file, an export, or a file"
    " of weights (.weights.h5), whose network --encoder and the flags of"
    " pre-training that go with it name."
)


def define_trained_model(values):
    """Defines `--checkpoint`, and the network flags for a file of weights."""
    Group(values, "network").path(
        "checkpoint", None, f"Trained model: {TRAINED_MODEL}"
    )
    # No defaults: all other checkpoints contain their configuration.
    define_network(values, dict.fromkeys(NETWORK))


def define_network(values, defaults=NETWORK):
    """Defines the flags of the encoder."""
    network = Group(values, "network")
    network.choice(
        "encoder",
        defaults["encoder"],
        ["resnet", "tiny"],
        "resnet, or tiny: the quick start's network of 309k parameters.",
    )
    network.choice(
        "resnet_depth",
        defaults["resnet_depth"],
        map(str, choices.RESNET_DEPTHS),
        "Depth of the ResNet in layers.",
    )
    network.float(
        "width_multiplier",
        defaults["width_multiplier"],
        "Multiplies the channels of every layer; fractions too.",
        least=0.01,
    )
    network.float(
        "sk_ratio",
        defaults["sk_ratio"],
        "Reduction of selective kernels; 0: none. SimCLRv2 uses 0.0625.",
        least=0.0,
    )
    network.float(
        "se_ratio",
        defaults["se_ratio"],
        "Reduction of squeeze-excitation; 0: none.",
        least=0.0,
    )
    network.boolean(
        "global_bn",
        defaults["global_bn"],
        "Batch norm over all replicas, in the encoder and the projection head.",
    )
    network.choice(
        "stem",
        defaults["stem"],
        ["auto", "imagenet", "small"],
        "First layers: 7x7 stride 2 and pooling (imagenet), or 3x3 stride 1"
        " (small). auto: small up to 32 pixels.",
    )


def define_training(values, *, batch, epochs, rate, optimizer, decay, warmup):
    """Defines the flags of the length of training and of the optimizer.

    Args:
        values: `FlagValues`.
        batch: default of `--train_batch_size`.
        epochs: default of `--train_epochs`.
        rate: default of `--learning_rate`.
        optimizer: default of `--optimizer`.
        decay: default of `--weight_decay`.
        warmup: default of `--warmup_epochs`.
    """
    training = Group(values, "training")
    training.integer(
        "train_batch_size", batch, "Images in the global batch.", least=1
    )
    training.integer(
        "train_epochs",
        epochs,
        "Passes over the training images. More than a run of pre-training or"
        " fine-tuning had make it longer.",
        least=1,
    )
    training.integer(
        "train_steps",
        0,
        "Training steps; where above 0, instead of --train_epochs.",
        least=0,
    )
    training.choice(
        "optimizer",
        optimizer,
        choices.OPTIMIZERS,
        "Optimizer. adamw and lamb decay kernels only, apart from the"
        " gradient.",
    )
    training.float(
        "learning_rate",
        rate,
        "Learning rate before scaling by the batch.",
        least=0.0,
    )
    training.choice(
        "learning_rate_scaling",
        "linear",
        choices.LEARNING_RATE_SCALINGS,
        "Peak rate: rate * batch / 256, rate * sqrt(batch), or rate.",
    )
    training.float(
        "warmup_epochs",
        warmup,
        "Epochs of linear warm-up before the cosine decay.",
        least=0.0,
    )
    training.boolean(
        "change_learning_rate",
        False,
        "Let --learning_rate, --learning_rate_scaling and --warmup_epochs be"
        " others than those of the run in --model_dir, which goes on from its"
        " newest intact checkpoint with them: for a run whose loss became"
        " NaN.",
        may_change=True,
    )
    training.float(
        "weight_decay",
        decay,
        "Weight decay; as L2 penalty for momentum and adam, of the online"
        " probe alone beside lars.",
        least=0.0,
    )
    training.float(
        "momentum", 0.9, "Momentum of lars and momentum.", least=0.0, most=1.0
    )
    training.boolean("nesterov", False, "Nesterov momentum.")
    training.float("beta_1", 0.9, "First decay of adam, adamw, lamb.")
    training.float("beta_2", 0.999, "Second decay of adam, adamw, lamb.")
    user_callbacks.define_flag(values)


def define_run(values):
    """Defines the flags of the run directory, seed, progress and precision."""
    run = Group(values, "run")
    run.path(
        "model_dir",
        None,
        "Run directory: flags, checkpoints, logs and results; local, or such"
        " as gs://bucket/run. The same command in the same directory resumes.",
        may_change=True,
    )
    run.integer("seed", 0, "Seed of all draws.", least=0, most=2**32 - 1)
    run.choice(
        "verbose",
        "auto",
        ["auto", "0", "1", "2"],
        "Progress: 0 none, 1 Keras's bar, 2 a line per epoch; auto: the bar on"
        " a terminal, else a line every half a minute.",
        may_change=True,
    )
    define_log(values)
    devices = Group(values, "devices")
    devices.choice(
        "precision",
        "float32",
        ["auto", "float32", "bfloat16", "float16"],
        "Compute precision; weights, loss and statistics stay float32. auto:"
        " bfloat16 where the processor multiplies it, else float32.",
    )


def define_log(values):
    """Defines the flag that shows TensorFlow's log lines."""
    Group(values, "run").boolean(
        "verbose_tensorflow",
        False,
        "Show what TensorFlow's C++ code prints, such as why it finds no GPU."
        " TF_CPP_MIN_LOG_LEVEL in the environment has priority.",
        may_change=True,
    )


def define_replicas(values):
    """Defines the flags of the devices to train on."""
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
    devices.switch(
        "jit",
        "auto",
        "Compile the training step with XLA. auto: on one GPU; not on CPUs,"
        " where it slows convolutions, nor over several replicas. A TPU"
        " compiles in any case.",
        may_change=True,  # rounds differently, as other devices do
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


def define_saving(values):
    """Defines the flags of checkpoints, logs and profiles."""
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
