"""Lists the allowed values of settings, for flags and for arguments.

This module imports nothing, so that `--help` and the errors of wrong flags
appear before TensorFlow is loaded.
"""

CACHES = ("auto", "none", "memory", "disk")
CLASS_WEIGHTS = ("none", "balanced")
CROP_SAMPLERS = ("official", "torchvision")
# Features of images and labels in shards of records, as ImageNet's are written.
FEATURE_IMAGE = "image/encoded"
FEATURE_LABEL = "image/class/label"
EMBEDDING_FORMATS = ("npy", "parquet")
EXPORT_FORMATS = ("saved_model", "onnx", "tflite")
EXPORT_PRECISIONS = ("float32", "as_trained")
FOLDER_LAYOUTS = ("auto", "splits", "classes", "flat", "legacy")
LEARNING_RATE_SCALINGS = ("linear", "sqrt", "none")
LOSSES = ("nt_xent", "nt_logistic", "margin_triplet", "supervised_contrastive")
# Those that take the classes of the images.
SUPERVISED_LOSSES = ("supervised_contrastive",)
# Pillow's limit: it takes an image with more pixels for a decompression bomb.
MAX_PIXELS = 89_478_485
OPTIMIZERS = ("lars", "momentum", "adam", "adamw", "lamb")
PROJECTION_HEADS = ("none", "linear", "nonlinear")
RESNET_DEPTHS = (18, 34, 50, 101, 152, 200)
SPLIT_ORDERS = ("shuffled", "position")
# What a classifier tells of an image: one class, several labels at once, or
# numbers.
TASKS = ("classification", "multilabel", "regression")
STRATEGIES = ("auto", "single", "mirrored", "multi_worker", "tpu")
# From transformations that a classifier can predict from an image's features to
# the names of their classes, in the order of the labels.
TRANSFORMATIONS = {
    "gray": ("colour", "grey"),
    "rotation": ("0 degrees", "90 degrees", "180 degrees", "270 degrees"),
    "noise": ("original", "noise"),
    "sobel": ("original", "Sobel"),
}
