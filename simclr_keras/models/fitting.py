"""Prepares `fit` of our models, and what surrounds it and their steps."""

import contextlib

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import data
from simclr_keras.distribute import limits
from simclr_keras.distribute import workers
from simclr_keras.models import epoch_steps
from simclr_keras.models import input_wait
from simclr_keras.models import pixels

# Images in a batch that `fit` makes of arrays where it is not told.
_KERAS_BATCH = 32


def _own_part(dataset, strategy, watch):
    """What this process reads of a data set, for its replicas.

    Each process makes and decodes its own rows of every global batch, in the
    global order, where Keras would let it read all of them.
    """
    size = batch_size(dataset)

    def part_of(context):
        parts = context.num_input_pipelines
        part = dataset.endless((context.input_pipeline_id, parts))
        count = context.num_replicas_in_sync
        if parts != count:
            part = part.rebatch(size // count).prefetch(tf.data.AUTOTUNE)
        return watch(part)

    return compat.distributed(strategy, part_of, dataset.steps)


def prepare(model, dataset, arguments, labels=None):
    """Changes the arguments of `fit` to suit a data set and a strategy.

    The model notes the size of the global batch and whether an epoch can begin
    within; a data set of ours learns the number of each epoch.

    Args:
        model: the model that is fitted.
        dataset: the first argument of its `fit`.
        arguments: dict of the others by name, changed in place.
        labels: second argument of `fit`, where the first are arrays.

    Returns:
        What takes the data set's place.

    Raises:
        ValueError: the batch does not divide by the number of replicas; or
            the data set states other crops than the model's views.
    """
    dataset = _cropped_as_stated(model, dataset, arguments)
    images = tf.nest.flatten(getattr(dataset, "element_spec", dataset))[0]
    pixels.check_channels(getattr(images, "shape", None))
    strategy = model.distribute_strategy
    model.global_batch_size = batch_size(dataset, arguments.get("batch_size"))
    model.start = model.input_wait = None
    ours = isinstance(dataset, data.Batches)
    # A place within an epoch is found by a callback.
    fixed = isinstance(arguments.get("callbacks"), keras.callbacks.CallbackList)
    model.starts_within = ours and not fixed
    # An epoch of this `fit` may be several passes over the data.
    model.epochs_per_round = dataset.passes if ours else 1
    model.steps_per_epoch = dataset.steps // dataset.passes if ours else None
    limits.check_batch(model.global_batch_size, strategy.num_replicas_in_sync)
    limits.check_step(
        strategy.num_replicas_in_sync,
        steps_per_execution=compat.steps_per_execution(model),
        jit_compile=getattr(model, "jit_compile", False) is True,
    )
    model.build_state(labels_of(dataset, labels))
    if ours or isinstance(dataset, tf.data.Dataset):
        # Its order is its own; Keras warns of its default otherwise.
        arguments.setdefault("shuffle", False)
    watch = _add_callbacks(model, dataset, arguments)
    if ours and workers.spans_processes(strategy):
        arguments.setdefault("steps_per_epoch", dataset.steps)
        return _own_part(dataset, strategy, watch)
    if ours and compat.prefetches_across_steps(model):
        # Of an epoch that begins within, it asks for more than there is.
        return compat.with_cardinality(dataset.open_ended(), len(dataset))
    return watch(data.as_dataset(dataset))


def stated_crops(views):
    """Crops that a model's views state: of the first, of the second.

    Args:
        views: `TwoViews`, `View`, another layer or None.

    Returns:
        Pair of `geometry.Crops`, None for what is no `View`.
    """
    pair = [getattr(views, name, views) for name in ("first", "second")]
    return tuple(getattr(view, "crops", None) for view in pair)


def check_two_crops(dataset):
    """Refuses photographs of which the host cuts one crop, not two.

    Both views would be crops of that crop.

    Raises:
        ValueError: so they are.
    """
    cut = getattr(dataset, "host_crops", None)
    if cut is not None and cut.views == 1:
        raise ValueError(
            "photographs must be loaded with views=2 to be contrasted: both"
            " views would be cut from one crop else. Received: a data set of"
            " views=1"
        )


def _cropped_as_stated(model, dataset, arguments):
    """The data set whose photographs are cropped as the views state.

    That of validation too; and the model notes whether its images are crops.
    """
    crops = stated_crops(model.views)
    dataset = data.with_crops(dataset, crops)
    validation = arguments.get("validation_data")
    if isinstance(validation, data.Batches):
        validation = data.with_crops(validation, crops)
        arguments["validation_data"] = validation.as_dataset()
    ready = getattr(dataset, "host_crops", None) is not None
    if ready != model.crops_are_ready:
        model.train_function = None  # it was traced for the others
    model.crops_are_ready = ready
    return dataset


def _add_callbacks(model, dataset, arguments):
    """Adds ours around the user's.

    Returns:
        Function of the data set that gives it timed, or as it is where what
        it takes cannot be told.
    """
    callbacks = _callbacks(arguments)
    if callbacks is None:
        return lambda dataset: dataset
    ours = isinstance(dataset, data.Batches)
    known = isinstance(dataset, tf.data.Dataset)
    known &= arguments.get("steps_per_epoch") is None
    timed = (ours or known) and not compat.prefetches_across_steps(model)
    if timed:
        model.input_wait = input_wait.InputWait(model.distribute_strategy)
        callbacks.insert(0, model.input_wait)

    def watch(dataset):
        if not timed:
            return dataset
        if not ours:  # ours are made ahead
            dataset = dataset.prefetch(tf.data.AUTOTUNE)
        return model.input_wait.timer.watch(dataset)

    if ours:
        callbacks = [
            epoch_steps.EpochOrder(dataset),
            *callbacks,
            epoch_steps.EpochEnd(dataset.steps),
        ]
    arguments["callbacks"] = callbacks
    return watch


@contextlib.contextmanager
def guarded_fit(model, arguments):
    """Context of a `fit`: names a lost worker, releases the callbacks.

    Keras calls `on_train_end` only where no error was raised, so callbacks
    that hold a lock or a thread have a method `release`.
    """
    try:
        yield
    except tf.errors.OpError as error:
        text = workers.explain_loss(model.distribute_strategy, error)
        if text is None:
            raise
        raise RuntimeError(text) from error
    finally:
        callbacks = arguments.get("callbacks") or []
        if isinstance(callbacks, keras.callbacks.CallbackList):
            callbacks = callbacks.callbacks
        for callback in callbacks:
            getattr(callback, "release", lambda: None)()


def watch_pixels(arguments):
    """Adds to the callbacks of `evaluate` or `predict` that of the pixels.

    Args:
        arguments: dict of the keyword arguments, changed in place.
    """
    callbacks = _callbacks(arguments)
    if callbacks is not None:  # else those of `fit`, which has it
        arguments["callbacks"] = callbacks


def _callbacks(arguments):
    """The user's callbacks after that of the pixels, a list.

    None where they are Keras's `CallbackList`, to which nothing can be added.
    """
    callbacks = arguments.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return None
    if isinstance(callbacks, keras.callbacks.Callback):
        callbacks = [callbacks]
    return [pixels.CheckPixels(), *(callbacks or [])]


def as_dataset(model, batches):
    """What `evaluate` and `predict` hand to Keras.

    Args:
        model: its views say how photographs are cropped.
        batches: `data.Batches`, which become a `tf.data.Dataset`; or anything
            else that Keras takes, which is returned as it is.
    """
    return data.as_dataset(data.with_crops(batches, stated_crops(model.views)))


def labels_of(dataset, labels=None):
    """Type of the labels, or None where it is unknown before training.

    Args:
        dataset: first argument of `fit`.
        labels: the second, an array where the first is one.
    """
    if labels is not None and hasattr(labels, "shape"):
        return tf.TensorSpec([None, *labels.shape[1:]], labels.dtype)
    spec = getattr(dataset, "element_spec", None)
    labels = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else None
    return labels if isinstance(labels, tf.TensorSpec) else None


def batch_size(dataset, default=None):
    """Images in the global batch of a data set, or None where unknown."""
    spec = getattr(dataset, "element_spec", None)
    if spec is None:
        arrays = hasattr(tf.nest.flatten(dataset)[0], "shape")
        return default or (_KERAS_BATCH if arrays else None)
    shape = tf.nest.flatten(spec)[0].shape
    return shape[0] if shape.rank else None


def image_size_of(images):
    """Side in pixels of the square images that `fit` is given, or None."""
    spec = getattr(images, "element_spec", images)
    shape = tuple(getattr(tf.nest.flatten(spec)[0], "shape", None) or ())
    square = len(shape) == 4 and shape[1] == shape[2]
    return shape[1] if square else None


def training_step(optimizer):
    """Number of the training step that runs now: int64 scalar from 0."""
    return tf.cast(tf.convert_to_tensor(optimizer.iterations), tf.int64)


def build_images(encoder, size=None):
    """An image, `[1, H, W, 3]` of zeros, by which an encoder can be built.

    Args:
        encoder: `keras.Model`.
        size: (height, width) in pixels of the images that it will get: some
            models can be built for no other. Defaults to None: unknown.
    """
    shape = getattr(encoder, "input_shape", None)
    if isinstance(shape, tuple) and len(shape) == 4:
        size = (shape[i] or 64 for i in (1, 2))  # small: it costs less
    return tf.zeros((1, *(size or (64, 64)), 3))


def pooled(features):
    """Features `[B, C]`, float32 at least; maps are averaged over space."""
    if features.dtype.size < 4:
        # TensorFlow 2.15 adds bfloat16 up in bfloat16 on CPU.
        features = tf.cast(features, tf.float32)
    rank = features.shape.rank
    if rank == 4:
        return tf.reduce_mean(features, axis=(1, 2))
    if rank == 2:
        return features
    hint = ""
    if rank == 3:
        hint = (
            "; of tokens [B, T, C], sk.as_encoder(encoder, tokens='first')"
            " takes the class token, tokens='mean' the mean over all"
        )
    raise ValueError(
        "encoder must map images to features [B, C] or to a feature map"
        f" [B, H, W, C]{hint}. Received: output of shape {features.shape}"
    )
