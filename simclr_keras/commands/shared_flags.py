"""Flags that several commands share, in groups."""

from absl import flags

from simclr_keras.commands import flag_kinds


def define_checkpoint(values):
    """Defines the flag of the commands that begin with a trained model."""
    flags.DEFINE_string(
        "checkpoint",
        None,
        "Trained model: a run directory, a checkpoint in it, a .keras file, or"
        " an export.",
        flag_values=values,
    )


def define_run(values):
    """Where a run lives and how it runs."""
    flags.DEFINE_string(
        "model_dir",
        None,
        "Run directory: flags, checkpoints, logs and results. The same command"
        " in the same directory resumes.",
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
        " (tools/launch_local); auto: a TPU where one is configured, else"
        " TF_CONFIG's workers, else several GPUs, else one device.",
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


def define_data(values):
    """Which images."""
    flags.DEFINE_string(
        "dataset",
        "shapes",
        "shapes (generated), a TensorFlow Datasets name such as cifar10 or"
        " imagenet2012_subset/1pct, or folder:/path of images.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "data_dir",
        None,
        "Directory of prepared TensorFlow Datasets; none: its own.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "download",
        False,
        "Let TensorFlow Datasets download and prepare a missing data set.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "image_size",
        0,
        "Side of the network's input in pixels. 0: the images' own where they"
        " are all equal and at most 64, else 224; after pre-training, that of"
        " the checkpoint.",
        lower_bound=0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "skip_corrupt",
        False,
        "Leave out images that cannot be decoded, and name them; else the first"
        " one stops the run.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "eval_batch_size",
        256,
        "Images per batch in evaluation.",
        lower_bound=1,
        flag_values=values,
    )


def define_splits(values, eval_split="test"):
    """Which of its images are trained and evaluated on."""
    flags.DEFINE_string(
        "train_split",
        "train",
        "Split to train on; slices such as train[:90%] work for every source.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "eval_split",
        eval_split,
        "Split to evaluate on; empty: no evaluation. In pre-training none means"
        " test where there is one.",
        flag_values=values,
    )


def define_label_fraction(values):
    """How many of the labels are used."""
    flags.DEFINE_float(
        "label_fraction",
        1.0,
        "Share of the training images whose labels are used, class-balanced"
        " and chosen by --seed: 0.01 is 1 %.",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )


def define_network(values):
    """Which encoder."""
    flags.DEFINE_enum(
        "encoder",
        "resnet",
        ["resnet", "tiny"],
        "resnet, or tiny: the quick start's network of 309k parameters.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "resnet_depth",
        "50",
        ["18", "34", "50", "101", "152", "200"],
        "Depth of the ResNet in layers.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "width_multiplier",
        1.0,
        "Multiplies the channels of every layer; fractions too.",
        lower_bound=0.01,
        flag_values=values,
    )
    flags.DEFINE_float(
        "sk_ratio",
        0.0,
        "Reduction of selective kernels; 0: none. SimCLRv2 uses 0.0625.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_float(
        "se_ratio",
        0.0,
        "Reduction of squeeze-excitation; 0: none.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "global_bn",
        True,
        "Batch norm over all replicas, in the encoder and the projection head.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "stem",
        "auto",
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


def define_views(values, color_strength, crop_area_min=0.08):
    """How images are augmented."""
    flags.DEFINE_float(
        "color_jitter_strength",
        color_strength,
        "Strength of the colour distortion; 0: none, no greyscale either.",
        lower_bound=0.0,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "use_blur",
        None,
        "Gaussian blur with probability 0.5; none: above 32 pixels, and in"
        " pre-training only.",
        flag_values=values,
    )
    flags.DEFINE_float(
        "crop_area_min",
        crop_area_min,
        "Smallest share of an image's area that a crop keeps.",
        lower_bound=0.0,
        upper_bound=1.0,
        flag_values=values,
    )
    flags.DEFINE_enum(
        "crop_sampler",
        "official",
        ["official", "torchvision"],
        "Law of the crops: the official code's, or torchvision's.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "antialias", False, "Antialias when crops shrink.", flag_values=values
    )
    flags.DEFINE_list(
        "append_views",
        [],
        "Further augmentations after the others: cutout, rotation, noise,"
        " sobel.",
        flag_values=values,
    )
