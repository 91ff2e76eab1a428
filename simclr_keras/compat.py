"""The one file that knows Keras 2.15 from Keras 3."""

import warnings

import keras
import numpy as np
import tensorflow as tf

KERAS_3 = int(keras.__version__.split(".")[0]) >= 3
# What checkpoints note: those of the other stack are not resumed from.
STACK = "3" if KERAS_3 else "2"
# Keras 2.15 marks the steps in a profile by itself.
MARKS_PROFILED_STEPS = not KERAS_3
# Keras 3 loads a saved optimizer of ours only if its class is known already;
# Keras 2.15 imports the module by the name in the file.
IMPORTS_SAVED_CLASSES = not KERAS_3
# Whether `tf.io.decode_image` knows WebP; older TensorFlow refuses it.
DECODES_WEBP = hasattr(tf.raw_ops, "DecodeWebP")

if KERAS_3 and keras.backend.backend() != "tensorflow":
    raise ImportError(
        "simclr_keras trains with TensorFlow (tf.distribute, tf.data), so Keras"
        " must use its TensorFlow backend. Received the backend"
        f" {keras.backend.backend()!r}; set KERAS_BACKEND=tensorflow."
    )

# Aggregation and synchronization of weights that replicas keep for themselves.
_STATISTICS = {"copied": ("none", "auto"), "averaged": ("mean", "on_read")}

register = keras.saving.register_keras_serializable(package="simclr_keras")


def variable_path(variable):
    """Full path of a variable, such as `resnet/stem_conv/kernel`.

    Keras 3 keeps it in `path` (its `name` is only the last part); Keras 2.15
    has it in `name`, with a `:0` behind it.
    """
    path = getattr(variable, "path", None)  # a plain tf.Variable has none
    return path or variable.name.split(":")[0]


def dtype_policy_name(dtype=None):
    """Name of a dtype policy, as `mixed_bfloat16`; of None: the global one."""
    if dtype is None:
        dtype = keras.mixed_precision.global_policy()
    return dtype if isinstance(dtype, str) else dtype.name


def add_uncast_weight(layer, name, shape, initializer, kind):
    """Adds a weight that mixed precision leaves as it is when it is read.

    Assign the result to an attribute of `layer`.

    Args:
        layer: Keras layer.
        name: name of the weight.
        shape: its shape.
        initializer: its initialiser.
        kind: `"trained"`; or a statistic, of which every replica keeps a copy
            of its own: `"copied"`, where all replicas assign the same values,
            so that any copy is the value; `"averaged"`, where reading it from
            outside the replicas, as saving does, gives their mean.
    """
    if kind == "trained":
        cast = "autocast" if KERAS_3 else "experimental_autocast"
        return layer.add_weight(
            name=name, shape=shape, initializer=initializer, **{cast: False}
        )
    aggregation, synchronization = _STATISTICS[kind]
    if not KERAS_3:
        return layer.add_weight(
            name=name,
            shape=shape,
            initializer=initializer,
            trainable=False,
            experimental_autocast=False,
            synchronization=tf.VariableSynchronization[synchronization.upper()],
            aggregation=tf.VariableAggregation[aggregation.upper()],
        )
    return keras.Variable(
        initializer=keras.initializers.get(initializer),
        shape=shape,
        dtype=layer.variable_dtype,
        trainable=False,
        autocast=False,
        aggregation=aggregation,
        synchronization=synchronization,
        name=name,
    )


class ReplicatedMean(keras.metrics.Mean):
    """A running mean to which all replicas add the same value.

    Each replica keeps a copy, so that reading it needs no collective: one
    process may read it while others do something else.
    """

    if KERAS_3:

        def add_variable(self, shape, initializer, dtype=None, **kwargs):
            """Adds a variable that is copied to each replica."""
            return keras.Variable(
                initializer=keras.initializers.get(initializer),
                shape=shape,
                dtype=dtype or self.dtype,
                trainable=False,
                aggregation="none",
                name=kwargs.get("name"),
            )
    else:

        def add_weight(self, name, **kwargs):
            """Adds a variable that is copied to each replica."""
            kwargs["aggregation"] = tf.VariableAggregation.NONE
            kwargs["synchronization"] = tf.VariableSynchronization.AUTO
            return super().add_weight(name, **kwargs)


class TrainedByReplicas(keras.Model):
    """Base of a model that can be trained under a distribution strategy.

    Keras 3 would build it from a batch of which it takes the mean over the
    replicas, for which integers have no collective; and averages what steps
    log over its first axis, which scalars do not have.
    """

    # Epoch and step in it where a `fit` that is resumed begins.
    start = None
    # Whether the images of the `fit` are crops already, made on the host.
    crops_are_ready = False

    def build_state(self, labels=None):
        """Creates the optimizer's variables, under the model's strategy.

        Args:
            labels: `tf.TensorSpec` of the labels, or None where unknown.
        """
        del labels
        if not KERAS_3:
            # It would add up the logs of all processes, which are the same.
            self.distribute_reduction_method = "first"
        with self.distribute_strategy.scope():
            build_optimizer(self.optimizer, self.trainable_variables)

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        if self.optimizer is not None:
            self.build_state()

    def step_logs(self, logs):
        """What a step returns, such that Keras can reduce it."""
        if not (KERAS_3 and spans_processes(tf.distribute.get_strategy())):
            return logs
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}


def spans_processes(strategy):
    """Whether a strategy's replicas live in several processes."""
    several = tf.distribute.MultiWorkerMirroredStrategy
    return (
        isinstance(strategy, several)
        and strategy.extended._in_multi_worker_mode()
    )


def keeps_iteration(strategy):
    """Whether `fit` has one iteration over the data for all epochs.

    Keras 2.15 does, among several processes.
    """
    return spans_processes(strategy) and not KERAS_3


def build_optimizer(optimizer, variables):
    """Creates an optimizer's state, once."""
    if not hasattr(optimizer, "build"):  # the older kind, of LAMB on 2.15
        optimizer._create_all_weights(variables)
    elif not is_built(optimizer):
        optimizer.build(variables)


def is_built(optimizer):
    """Whether an optimizer has its state."""
    return getattr(optimizer, "built" if KERAS_3 else "_built", False)


def build_metrics(model, y_true, y_pred):
    """Creates the metrics that a model was compiled with."""
    if not KERAS_3:
        if not model.compiled_loss.built:
            model.compiled_loss.build(y_pred)
        if not model.compiled_metrics.built:
            model.compiled_metrics.build(y_pred, y_true)
    elif model._compile_metrics is not None:
        if not model._compile_metrics.built:
            model._compile_metrics.build(y_true, y_pred)


def minimize(optimizer, tape, loss, variables):
    """Applies the gradient of `loss`; scales it where float16 needs that."""
    with tape:
        loss = scale_loss(optimizer, loss)
    apply_scaled(optimizer, tape.gradient(loss, variables), variables)


def scale_loss(optimizer, loss):
    """The loss as `apply_scaled` wants it differentiated: for float16."""
    if KERAS_3:
        return optimizer.scale_loss(loss)
    scale = getattr(optimizer, "get_scaled_loss", None)
    return scale(loss) if scale else loss


def apply_scaled(optimizer, gradients, variables):
    """Applies gradients of a loss that went through `scale_loss`."""
    if not KERAS_3 and hasattr(optimizer, "get_unscaled_gradients"):
        gradients = optimizer.get_unscaled_gradients(gradients)
    optimizer.apply_gradients(list(zip(gradients, variables)))


def state_of(*layers):
    """What calls of layers in training mode may change.

    Args:
        *layers: layers or models, whose own layers count.

    Returns:
        List of TensorFlow variables, each once: moving statistics and, on
        Keras 3, the states of seed generators.
    """
    state = {}
    for layer in (inner for each in layers for inner in each._flatten_layers()):
        if KERAS_3:
            own = [*layer._non_trainable_variables]
            own += [seed.state for seed in layer._seed_generators]
        else:
            own = layer._non_trainable_weights
        state.update((id(v), tensorflow_variable(v)) for v in own)
    return list(state.values())


def unrepeatable_layers(*layers):
    """Those that draw random numbers which cannot be drawn again.

    On Keras 3 none: what its layers draw is a function of their seed
    generator's state, which can be set back.

    Args:
        *layers: layers or models, whose own layers count.

    Returns:
        List of layers.
    """
    if KERAS_3:
        return []
    random = keras.__internal__.layers.BaseRandomLayer
    inner = (layer for each in layers for layer in each._flatten_layers())
    return [layer for layer in inner if isinstance(layer, random)]


def set_resume_point(model, epoch, step):
    """Makes a `fit` that is starting (in `on_train_begin`) start there.

    On Keras 3 the first epoch has to be ended by `end_epoch` after the steps
    that are left of it. None for both undoes it, for the next `fit`.
    """
    if KERAS_3:
        model._initial_epoch = epoch
    elif epoch is None:
        vars(model).pop("_maybe_load_initial_counters_from_ckpt", None)
    else:
        model._maybe_load_initial_counters_from_ckpt = (
            lambda steps_per_epoch, initial_epoch: (epoch, step)
        )


def distributed(strategy, dataset_of, steps):
    """Input of this process for `fit`, endless, in epochs of some steps.

    Args:
        strategy: strategy of several processes.
        dataset_of: function of `tf.distribute.InputContext` that returns an
            endless `tf.data.Dataset` of batches for one replica.
        steps: batches that are an epoch.
    """
    dataset = strategy.distribute_datasets_from_function(dataset_of)
    # Keras 3 wants to know; and when an epoch was ended early, takes the steps
    # that it saw for the number that it was not told.
    dataset._cardinality = steps
    return dataset


def steps_per_execution(model):
    """Steps of the execution that a model runs or has just run.

    On Keras 3 the last one of an epoch can have fewer.
    """
    value = getattr(model, "steps_per_execution", None)
    return 1 if value is None else int(as_numpy(value))


def prefetches_across_steps(model):
    """Whether batches are asked for while the step before is running.

    Then the time that a batch takes is not what a step waits for it.
    """
    return KERAS_3 and steps_per_execution(model) > 1


def with_cardinality(dataset, steps):
    """A `tf.data.Dataset` with a number of batches that Keras 3 accepts."""
    dataset.cardinality = steps
    return dataset


def end_epoch():
    """Ends, in `on_train_batch_end`, an epoch that began at a later step.

    Callbacks behind the one that calls this miss the batch. Keras 2.15 counts
    the steps from where the epoch began, and needs no telling.
    """
    if KERAS_3:
        # Keras takes it for the end of the data, and warns.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        raise StopIteration


def weights_of(model):
    """All weights of a model, in an order that freezing does not change."""
    if KERAS_3:
        return list(model.weights)
    return [
        weight
        for layer in model._flatten_layers()
        if not isinstance(layer, keras.metrics.Metric)
        for weight in layer._trainable_weights + layer._non_trainable_weights
    ]


def optimizer_variables(optimizer):
    """All variables of an optimizer, its loss scale's included."""
    if KERAS_3:
        return list(optimizer.variables)
    variables = optimizer.variables
    variables = list(variables() if callable(variables) else variables)
    if getattr(optimizer, "dynamic", False):
        scale = optimizer._loss_scale
        variables += [scale.current_loss_scale, scale.counter]
    return variables


def tensorflow_variable(variable):
    """The TensorFlow variable inside a Keras one, distributed or not."""
    if KERAS_3 and isinstance(variable, keras.Variable):
        return variable.value
    return variable


def copy_model(model, inputs):
    """A copy of a model: made from its configuration, with its weights.

    Args:
        model: `keras.Model`, perhaps a subclass that nothing has built.
        inputs: tensor by which it can be called.

    Raises:
        ValueError: it does not round trip through its configuration.
    """
    if not model.built:
        model(inputs)
    try:
        copy = type(model).from_config(model.get_config())
    except (NotImplementedError, TypeError) as error:
        raise ValueError(
            "the model must round trip through get_config and from_config to"
            f" be copied. Received: {model.name!r} of type"
            f" {type(model).__name__}, which failed with: {error}"
        ) from error
    if not copy.built or len(copy.weights) != len(model.weights):
        copy(inputs)  # Keras 3 calls a subclass built whose layers are not
    copy.set_weights(model.get_weights())
    return copy


def learning_rate(optimizer):
    """The learning rate of the next step, as a float."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # Not its `learning_rate`: on Keras 2.15 that is the last step's.
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None:  # an older optimizer
        rate = optimizer.learning_rate
    if callable(rate):
        rate = rate(optimizer.iterations)
    return float(tf.convert_to_tensor(rate))


def settable_learning_rate(optimizer):
    """The rate of an optimizer as a float, or None where a schedule sets it."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None or callable(rate):
        return None
    return float(as_numpy(rate))


def as_numpy(variable):
    """Value of a Keras or TensorFlow variable as a NumPy array."""
    return tf.convert_to_tensor(variable).numpy()


class Optimizer(keras.optimizers.Optimizer):
    """Base of an optimizer that is written once for both.

    A subclass calls this `__init__` and writes two methods:
    `create_slots(variables)`, once, with `self.new_slot(variable, name)` for
    each state it keeps; and `update(gradient, variable, learning_rate,
    index)`, for each variable at each step, where all three are of one dtype
    and `index` is the variable's position in `create_slots`. Changes are made
    with `self.assign`. Weight decay is left to `update`.
    """

    def __init__(self, learning_rate, *, name, weight_decay=None, **kwargs):
        if isinstance(learning_rate, (int, np.number)):
            learning_rate = float(learning_rate)
        kwargs.update(name=name, weight_decay=weight_decay)
        if KERAS_3:
            super().__init__(learning_rate, **kwargs)
        else:
            super().__init__(**kwargs)
            self._learning_rate = self._build_learning_rate(learning_rate)

    def build(self, variables):
        """Creates the slots, once."""
        if is_built(self):
            return
        super().build(variables)
        self.create_slots(variables)
        self._built = True

    def new_slot(self, variable, name):
        """State of the shape and dtype of `variable`, zeros at first."""
        return self.add_variable_from_reference(variable, name)

    def update_step(self, gradient, variable, learning_rate=None):
        """Hands on to `update` what Keras gives."""
        if KERAS_3:
            index = self._get_variable_index(variable)
        else:
            index = self._index_dict[self._var_key(variable)]
            learning_rate = self.learning_rate
        self.update(
            tf.cast(tf.convert_to_tensor(gradient), variable.dtype),
            variable,
            tf.cast(learning_rate, variable.dtype),
            index,
        )

    def assign(self, variable, value):
        """Sets a variable or a slot."""
        if KERAS_3:
            super().assign(variable, value)
        else:
            variable.assign(value)

    def get_config(self):
        """Arguments that make an equal optimizer."""
        config = super().get_config()
        if not KERAS_3:
            rate = self._serialize_hyperparameter(self._learning_rate)
            config["learning_rate"] = (
                rate if isinstance(rate, dict) else float(rate)
            )
        return config

    def _apply_weight_decay(self, variables):
        """Keras's own decay, which would come on top of that of `update`."""


class DecayMatricesOnly:
    """Mixin before a Keras or tensorflow-addons optimizer's class.

    Weight decay then leaves out biases and the scales and offsets of
    normalisation (vectors and scalars), without a list of variables.
    """

    def _use_weight_decay(self, variable):
        return len(variable.shape) >= 2

    # tensorflow-addons' name for it.
    _do_use_weight_decay = _use_weight_decay


def lamb_class():
    """LAMB: Keras's own on Keras 3, else that of tensorflow-addons.

    Raises:
        ImportError: tensorflow-addons is needed and absent.
    """
    if KERAS_3:
        return keras.optimizers.Lamb
    try:
        from tensorflow_addons.optimizers import LAMB
    except ImportError as error:
        raise ImportError(
            "LAMB on Keras 2.15 is that of tensorflow-addons, which is not"
            " installed. Install the extra that brings it:"
            " pip install 'simclr_keras[tf215]'"
        ) from error
    return LAMB
