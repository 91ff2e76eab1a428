"""Defines the flags of the networks, and of how they are trained."""

from simclr_keras import choices
from simclr_keras.commands.flag_kinds import Group

# Name -> default of the flags that say which encoder.
NETWORK = {
    "encoder": "resnet",
    "resnet_depth": "50",
    "width_multiplier": 1.0,
    "sk_ratio": 0.0,
    "se_ratio": 0.0,
    "global_bn": True,
    "stem": "auto",
}


def define_checkpoint(values):
    """Defines the trained model that a command begins with."""
    Group(values, "network").path(
        "checkpoint",
        None,
        "Trained model: a run directory, a checkpoint in it, a .keras file, an"
        " export, or a file of weights (.weights.h5), whose network --encoder"
        " and the flags of pre-training that go with it name.",
    )
    # Other checkpoints say it themselves: no defaults.
    define_network(values, dict.fromkeys(NETWORK))


def define_network(values, defaults=NETWORK):
    """Defines the encoder."""
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
    """Defines how long is trained, and how the weights are moved.

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
        "train_epochs", epochs, "Passes over the training images.", least=1
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
        " newest intact checkpoint with them: for a run whose loss was no"
        " number any more.",
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
        "momentum",
        0.9,
        "Momentum of lars and momentum.",
        least=0.0,
        most=1.0,
    )
    training.boolean("nesterov", False, "Nesterov momentum.")
    training.float("beta_1", 0.9, "First decay of adam, adamw, lamb.")
    training.float("beta_2", 0.999, "Second decay of them.")
