"""Defines the flags of the data, its cache and the augmentation.

Each function defines flags that go together; a command calls those it needs.
"""

from simclr_keras import choices
from simclr_keras.commands.common import label_flags
from simclr_keras.commands.common.flag_kinds import Group

# Flags on how images are read; the next command on the data needs them too.
IMAGE_FLAGS = (
    "data_dir",
    *label_flags.FLAGS,
    "folder_layout",
    "split_order",
    "pixel_range",
    "channels",
    "max_pixels",
    "skip_corrupt",
    "feature_image",
    "feature_label",
)


def define_data(values):
    """Defines the flags that say which images are read, and how."""
    data = Group(values, "data")
    data.path(
        "dataset",
        "shapes",
        "shapes (generated), a TensorFlow Datasets name such as cifar10 or"
        " imagenet2012_subset/1pct, folder:/path of images, arrays:/path of an"
        " .npy or .npz file, or tfrecord:/path/{split}-* of TFRecord shards and"
        " arrayrecord:/path/{split}-* of ArrayRecord ones.",
    )
    data.path(
        "data_dir",
        None,
        "Directory of prepared TensorFlow Datasets; none: its own.",
        may_change=True,
    )
    data.boolean(
        "download",
        False,
        "Let TensorFlow Datasets download and prepare a missing data set.",
        may_change=True,
    )
    data.integer(
        "image_size",
        0,
        "Side of the network's input in pixels. 0: the images' own where they"
        " are squares of one size of at most 64 (a sample of files is"
        " examined), else 224; after pre-training, that of the checkpoint.",
        least=0,
    )
    data.boolean(
        "skip_corrupt",
        False,
        "Leave out images that cannot be decoded, and name them; else the first"
        " one stops the run.",
    )
    label_flags.define(data)
    data.choice(
        "folder_layout",
        "auto",
        choices.FOLDER_LAYOUTS,
        "What the sub-folders of folder:/path mean. auto: splits where all are"
        " named so (train, val, test and the like), else classes, else nothing,"
        " and an error where they are mixed; splits: those named so, the rest"
        " is left out; classes: each is a class; flat: nothing; legacy: as"
        " runs before this flag.",
    )
    data.choice(
        "split_order",
        "shuffled",
        choices.SPLIT_ORDERS,
        "What slices of splits of files or of arrays, such as train[:80%],"
        " are parts of. shuffled: one fixed order in which classes alternate,"
        " the same for every --seed; position: the order in which they lie"
        " there. TensorFlow Datasets and shapes are always by position.",
    )
    data.range(
        "pixel_range",
        "Values that are black and white in images of 16 bits, or in arrays of"
        " any type: 0,4095 for 12 bits; of DICOM files in rescaled units, such"
        " as Hounsfield. None: the window of a DICOM file; else the range of"
        " the type, of which images of 16 bits must use more than half.",
    )
    data.integer(
        "channels",
        None,
        "Number of channels that every image has and keeps, such as 1 for grey"
        " images or 13 for bands; folders may hold TIFF files then. None:"
        " images become RGB; after pre-training, that of the checkpoint.",
        least=1,
    )
    define_max_pixels(values)
    data.string(
        "feature_image",
        choices.FEATURE_IMAGE,
        "Feature of the encoded images of tfrecord:PATTERN and"
        " arrayrecord:PATTERN; image in files of TensorFlow Datasets.",
    )
    data.string(
        "feature_label",
        choices.FEATURE_LABEL,
        "Feature of the labels of tfrecord:PATTERN and arrayrecord:PATTERN;"
        " empty, or one that the records lack: no labels.",
    )
    data.integer(
        "eval_batch_size", 256, "Images per batch in evaluation.", least=1
    )


def define_max_pixels(values):
    """Defines the flag for the largest allowed image."""
    Group(values, "data").integer(
        "max_pixels",
        choices.MAX_PIXELS,
        "Height times width of the largest image that is decoded, checked"
        " before decoding; the default is Pillow's.",
        least=1,
    )


def define_pictures(values):
    """Defines the flag for the channels that pictures show."""
    Group(values, "data").numbers(
        "show_channels",
        3,
        "Numbers, from 1, of the channels that pictures show as red, green and"
        " blue, such as 4,3,2 for satellite images. None: the first three; one"
        " or two channels are shown in grey.",
        may_change=True,
    )


def define_splits(values, eval_split="test"):
    """Defines the flags of the training and the evaluation split."""
    data = Group(values, "data")
    data.string(
        "train_split",
        "train",
        "Split to train on; slices such as train[:90%] work for every source,"
        " and have no image in common where they do not overlap, see"
        " --split_order.",
    )
    data.string(
        "eval_split",
        eval_split,
        "Split to evaluate on; empty: no evaluation. In pre-training none means"
        " test where there is one.",
    )


def define_decoding(values):
    """Defines the flags on where training images are decoded and kept."""
    data = Group(values, "data")
    data.string(
        "data_service",
        None,
        "grpc://HOST:PORT of the dispatcher of a tf.data service whose workers"
        " decode and crop the training images, which must be JPEG in"
        " folder:PATH or tfrecord:PATTERN, under paths that are the same there."
        " The batches are the same. None: each process decodes its own.",
        may_change=True,
    )
    data.choice(
        "cache",
        "auto",
        choices.CACHES,
        "Where training images are kept decoded, so that later epochs need not"
        " decode them: memory, a file (disk), or nowhere. auto: in memory where"
        " they fit, nowhere with --data_service. Small images of one size are"
        " in memory in any case.",
        may_change=True,
    )
    data.path(
        "cache_dir",
        None,
        "Directory of the files of --cache=disk, which other runs use too."
        " None: simclr_keras in XDG_CACHE_HOME, else in ~/.cache.",
        local="the images in it are mapped into memory",
        may_change=True,
    )
    data.float(
        "cache_gib",
        0.0,
        "Most GiB that decoded images may take; 0: half of the memory, or of"
        " the room on the disk, that is free.",
        least=0.0,
        may_change=True,
    )


def define_views(values, color_strength):
    """Defines the flags of the augmentation."""
    views = Group(values, "views")
    views.float(
        "color_jitter_strength",
        color_strength,
        "Strength of the colour distortion; 0: none, no greyscale either.",
        least=0.0,
    )
    views.boolean(
        "use_blur",
        None,
        "Gaussian blur with probability 0.5; none: above 32 pixels, and in"
        " pre-training only.",
    )
    views.float(
        "crop_area_min",
        0.08,
        "Smallest share of an image's area that a crop keeps.",
        least=0.0,
        most=1.0,
    )
    views.choice(
        "crop_sampler",
        "official",
        choices.CROP_SAMPLERS,
        "How crops are drawn: as in the official code, or as in torchvision.",
    )
    views.boolean("antialias", False, "Antialias when crops shrink.")
    views.list(
        "append_views",
        [],
        "Further augmentations after the others: cutout, rotation, noise,"
        " sobel.",
    )


def define_ablations(values):
    """Defines the flags that leave out parts of the augmentation."""
    views = Group(values, "views")
    views.boolean(
        "crop",
        True,
        "Crop at random; without, views are whole images, which must have the"
        " size of the views.",
    )
    views.boolean("flip", True, "Flip half of the views from left to right.")
    views.boolean(
        "augment_one",
        False,
        "Let one view of each pair be the image itself, as in the paper's"
        " figure 5.",
    )
