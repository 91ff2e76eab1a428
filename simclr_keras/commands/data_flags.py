"""Flags of the images that a command reads and shows, in groups."""

from absl import flags

from simclr_keras.commands import flag_kinds


def define_data(values):
    """Which images."""
    flags.DEFINE_string(
        "dataset",
        "shapes",
        "shapes (generated), a TensorFlow Datasets name such as cifar10 or"
        " imagenet2012_subset/1pct, folder:/path of images, or arrays:/path of"
        " an .npy or .npz file.",
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
    flags.DEFINE_enum(
        "folder_layout",
        "auto",
        ["auto", "splits", "classes", "flat", "legacy"],
        "What the sub-folders of folder:/path mean. auto: splits where all are"
        " named so (train, val, test and the like), else classes, else nothing,"
        " and an error where they are mixed; splits: those named so, the rest"
        " is left out; classes: each is a class; flat: nothing; legacy: as"
        " runs before this flag.",
        flag_values=values,
    )
    flags.DEFINE_enum(
        "split_order",
        "shuffled",
        ["shuffled", "position"],
        "What slices of splits of a folder or of arrays, such as train[:80%],"
        " are parts of. shuffled: one fixed order in which classes alternate,"
        " the same for every --seed; position: the order in which they lie"
        " there. TensorFlow Datasets and shapes are always by position.",
        flag_values=values,
    )
    flag_kinds.define_range(
        "pixel_range",
        "Values that are black and white in images of 16 bits, or in arrays of"
        " any type: 0,4095 for 12 bits. None: the range of the type, of which"
        " images of 16 bits must use more than half.",
        values,
    )
    define_max_pixels(values)
    flags.DEFINE_integer(
        "eval_batch_size",
        256,
        "Images per batch in evaluation.",
        lower_bound=1,
        flag_values=values,
    )


def define_max_pixels(values):
    """How large an image may be."""
    flags.DEFINE_integer(
        "max_pixels",
        89478485,  # `images.MAX_PIXELS`, without loading TensorFlow
        "Height times width of the largest image that is decoded, checked"
        " before decoding; the default is Pillow's.",
        lower_bound=1,
        flag_values=values,
    )


def define_splits(values, eval_split="test"):
    """Which of its images are trained and evaluated on."""
    flags.DEFINE_string(
        "train_split",
        "train",
        "Split to train on; slices such as train[:90%] work for every source,"
        " and have no image in common where they do not overlap, see"
        " --split_order.",
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
