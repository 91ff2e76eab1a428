"""Lists what settings may be, for the flags and for what takes them.

Nothing is imported here: `--help` and wrong flags answer before TensorFlow is
loaded.
"""

CACHES = ("auto", "none", "memory", "disk")
CROP_SAMPLERS = ("official", "torchvision")
# Features of images and labels in TFRecord shards, as ImageNet's are written.
FEATURE_IMAGE = "image/encoded"
FEATURE_LABEL = "image/class/label"
EXPORT_FORMATS = ("saved_model", "onnx", "tflite")
EXPORT_PRECISIONS = ("float32", "as_trained")
FOLDER_LAYOUTS = ("auto", "splits", "classes", "flat", "legacy")
LEARNING_RATE_SCALINGS = ("linear", "sqrt", "none")
LOSSES = ("nt_xent", "nt_logistic", "margin_triplet")
# Pillow's bound: more pixels are taken for an attack on the memory.
MAX_PIXELS = 89_478_485
OPTIMIZERS = ("lars", "momentum", "adam", "adamw", "lamb")
PROJECTION_HEADS = ("none", "linear", "nonlinear")
RESNET_DEPTHS = (18, 34, 50, 101, 152, 200)
SPLIT_ORDERS = ("shuffled", "position")
STRATEGIES = ("auto", "single", "mirrored", "multi_worker", "tpu")
# What was done to an image, to be told from its features -> names of the
# classes, in the order of their labels.
TRANSFORMATIONS = {
    "gray": ("colour", "grey"),
    "rotation": ("0 degrees", "90 degrees", "180 degrees", "270 degrees"),
    "noise": ("original", "noise"),
    "sobel": ("original", "Sobel"),
}
