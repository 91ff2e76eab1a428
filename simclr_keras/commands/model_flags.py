"""Flags of networks and of how they are trained, in groups."""

from absl import flags

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
    """Defines the flags of the commands that begin with a trained model."""
    flags.DEFINE_string(
        "checkpoint",
        None,
        "Trained model: a run directory, a checkpoint in it, a .keras file, an"
        " export, or a file of weights (.weights.h5), whose network --encoder"
        " and the flags of pre-training that go with it name.",
        flag_values=values,
    )
    # Other checkpoints say it themselves: no defaults.
    define_network(values, dict.fromkeys(NETWORK))


def define_network(values, defaults=NETWORK):
    """Which encoder."""
    flags.DEFINE_enum(
        "encoder",
        defaults["encoder"],
        ["resnet", "tiny"],
        "resnet, or tiny: the quick start's network of 309k parameters.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "resnet_depth",
        defaults["resnet_depth"],
        ["18", "34", "50", "101", "152", "200"],
        "Depth of the ResNet in layers.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "width_multiplier",
        defaults["width_multiplier"],
        "Multiplies the channels of every layer; fractions too.",
        lower_bound=0.01,
        flag_values=values,
    )
    flags.DEFINE_float(
        "sk_ratio",
        defaults["sk_ratio"],
        "Reduction of selective kernels; 0: none. SimCLRv2 uses 0.0625.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "se_ratio",
        defaults["se_ratio"],
        "Reduction of squeeze-excitation; 0: none.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "global_bn",
        defaults["global_bn"],
        "Batch norm over all replicas, in the encoder and the projection head.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "stem",
        defaults["stem"],
        ["auto", "imagenet", "small"],
        "First layers: 7x7 stride 2 and pooling (imagenet), or 3x3 stride 1"
        " (small). auto: small up to 32 pixels.",
        flag_values=values,
    )


def define_optimization(
    values, *, batch, epochs, rate, optimizer, decay, warmup
):
    """How weights are moved."""
    flags.DEFINE_integer(
        "train_batch_size",
        batch,
        "Images in the global batch.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "train_epochs",
        epochs,
        "Passes over the training images.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_integer(
        "train_steps",
        0,
        "Training steps; where above 0, instead of --train_epochs.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "optimizer",
        optimizer,
        ["lars", "momentum", "adam", "adamw", "lamb"],
        "Optimizer. adamw and lamb decay kernels only, apart from the"
        " gradient.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "learning_rate",
        rate,
        "Learning rate before scaling by the batch.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "learning_rate_scaling",
        "linear",
        ["linear", "sqrt", "none"],
        "Peak rate: rate * batch / 256, rate * sqrt(batch), or rate.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "warmup_epochs",
        warmup,
        "Epochs of linear warm-up before the cosine decay.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "change_learning_rate",
        False,
        "Let --learning_rate, --learning_rate_scaling and --warmup_epochs be"
        " others than those of the run in --model_dir, which goes on from its"
        " newest intact checkpoint with them: for a run whose loss was no"
        " number any more.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "weight_decay",
        decay,
        "Weight decay; as L2 penalty for momentum and adam, of the online"
        " probe alone beside lars.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "momentum",
        0.9,
        "Momentum of lars and momentum.",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "nesterov", False, "Nesterov momentum.", flag_values=values
    )
    flags.DEFINE_float(
        "beta_1", 0.9, "First decay of adam, adamw, lamb.", flag_values=values
    )
    flags.DEFINE_float(
        "beta_2", 0.999, "Second decay of them.", flag_values=values
    )
