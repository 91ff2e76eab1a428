"""Rebuilds a model so that its networks compute in another precision."""

import keras
import tensorflow as tf

from simclr_keras import compat

# Floating dtypes, the least precise first.
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_MIXED = ("mixed_float16", "mixed_bfloat16")


def compute_dtypes(model):
    """Dtypes that the networks of a model compute in.

    Args:
        model: `SimCLR`, `Classifier`, or any `keras.Model`.

    Returns:
        Names such as `["bfloat16", "float32"]`, the least precise first.
    """
    found = set()
    for network in _networks(model):
        for layer in compat.flatten_layers(network):
            # A container leaves the computing to the layers in it.
            if not compat.flatten_layers(layer, include_self=False):
                found.add(layer.compute_dtype)
    return [name for name in _FLOATS if name in found] or ["float32"]


def rebuild(model, policy, weights=True):
    """A model of the same configuration under another dtype policy.

    Under "float32" all floating layers become float32. Under a mixed policy
    the networks of this package take it, and of other layers those that had a
    mixed one: a float32 layer among these may be float32 on purpose.

    Args:
        model: `SimCLR`, `Classifier`, or any `keras.Model` that round trips
            through `get_config`; it is left as it is.
        policy: name of a dtype policy, such as "float32" or "mixed_bfloat16".
        weights: whether the new model has the weights of `model`, or fresh
            ones. Defaults to True.

    Returns:
        `keras.Model` of the same class, not compiled.

    Raises:
        ValueError: the model does not round trip through `get_config`.
    """
    before = compat.dtype_policy_name()
    # Layers whose configuration does not say their dtype take the global one.
    keras.mixed_precision.set_global_policy(policy)
    try:
        with keras.saving.custom_object_scope(_own_classes(model)):
            ours = _is_network(type(model).__module__)
            config = _with_policy(model.get_config(), policy, ours)
            made = type(model).from_config(config)
            if not made.built:
                made.build(model.input_shape)
    except (
        AttributeError,  # a subclass without a known input
        NotImplementedError,
        TypeError,
        ValueError,
    ) as error:
        raise ValueError(
            f"the model must round trip through get_config to compute in"
            f" {policy}. Received: {model.name!r} of type"
            f" {type(model).__name__}, which failed with: {error}"
        ) from error
    finally:
        keras.mixed_precision.set_global_policy(before)
    if weights:
        ours, theirs = compat.weights_of(made), compat.weights_of(model)
        if len(ours) != len(theirs):
            raise ValueError(
                "the model made anew from its configuration must have the same"
                f" weights. Received: {model.name!r} with {len(theirs)}, of"
                f" which {len(ours)} were made"
            )
        for new, old in zip(ours, theirs):
            dtype = tf.as_dtype(new.dtype).as_numpy_dtype
            new.assign(compat.as_numpy(old).astype(dtype))
    return made


def _networks(model):
    """The parts of a model that are applied to images."""
    parts = [getattr(model, n, None) for n in ("encoder", "projection_head")]
    return [part for part in parts if part is not None] or [model]


def _own_classes(model):
    """Classes of the model's layers, which need not be registered for this."""
    classes = {type(layer) for layer in compat.flatten_layers(model)}
    return {
        each.__name__: each
        for each in classes
        if each.__module__.split(".")[0] not in ("keras", "simclr_keras")
    }


def _is_network(module):
    """Whether a class of a module is a network of this package, or a part."""
    return str(module).startswith("simclr_keras.networks.")


def _with_policy(config, policy, ours):
    """A copy of a configuration with another dtype policy; see `rebuild`."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_policy(x, policy, ours) for x in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") and "config" in config:
        ours = _is_network(config.get("module"))
    return {
        key: policy
        if key == "dtype" and _is_replaced(value, policy, ours)
        else _with_policy(value, policy, ours)
        for key, value in config.items()
    }


def _is_replaced(dtype, policy, ours):
    """Whether a `dtype` of a configuration gives way to a policy."""
    if isinstance(dtype, dict):  # a policy, as Keras writes it
        dtype = (dtype.get("config") or {}).get("name")
    if policy in _FLOATS or ours:
        return dtype in _FLOATS + _MIXED
    return dtype in _MIXED
