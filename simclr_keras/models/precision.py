"""Finds the precision of machines and models, and changes that of a model."""

from __future__ import annotations

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import processor

# Floating dtypes by increasing precision.
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_MIXED = ("mixed_float16", "mixed_bfloat16")


def compute_dtypes(model: keras.Model) -> list[str]:
    """Dtypes that the networks of a model compute in.

    Args:
        model: `SimCLR`, `Classifier`, or any `keras.Model`.

    Returns:
        Names such as `["bfloat16", "float32"]`, by increasing precision.
    """
    found = set()
    for network in _networks(model):
        for layer in compat.flatten_layers(network):
            # A container leaves the computing to the layers in it.
            if not compat.flatten_layers(layer, include_self=False):
                found.add(layer.compute_dtype)
    return [name for name in _FLOATS if name in found] or ["float32"]


def multiplies_bfloat16() -> bool:
    """Whether this machine has bfloat16 matrix instructions."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    if tf.config.list_physical_devices("TPU"):
        return True
    return bool({"avx512_bf16", "amx_bf16"} & processor.features())


def rebuild(
    model: keras.Model, policy: str, weights: bool = True
) -> keras.Model:
    """Makes a model of the same configuration under another dtype policy.

    Under "float32" all floating layers become float32. A mixed policy applies
    to the networks of this package, and to those other layers that already have
    a mixed policy: other float32 layers may be float32 on purpose.

    Args:
        model: `SimCLR`, `Classifier`, or any `keras.Model` that round trips
            through `get_config`; it is not changed.
        policy: name of a dtype policy, such as "float32" or "mixed_bfloat16".
        weights: whether to copy the weights of `model`; otherwise they are
            initialised anew. Defaults to True.

    Returns:
        `keras.Model` of the same class, not compiled.

    Raises:
        ValueError: the model does not round trip through `get_config`.
    """
    before = compat.dtype_policy_name()
    # Layers without a dtype in their configuration take the global policy.
    keras.mixed_precision.set_global_policy(policy)
    try:
        with keras.saving.custom_object_scope(_custom_classes(model)):
            is_ours = _is_network(type(model).__module__)
            config = _with_policy(model.get_config(), policy, is_ours)
            copy = type(model).from_config(config)
            if not copy.built:
                copy.build(model.input_shape)
    except (
        AttributeError,  # a subclass without an input shape
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
        new_weights = compat.weights_of(copy)
        old_weights = compat.weights_of(model)
        if len(new_weights) != len(old_weights):
            raise ValueError(
                "a model must have the same weights when it is rebuilt from"
                f" its configuration. Received: {model.name!r} with"
                f" {len(old_weights)} weights, and {len(new_weights)} when it"
                " was rebuilt"
            )
        for new, old in zip(new_weights, old_weights):
            dtype = tf.as_dtype(new.dtype).as_numpy_dtype
            new.assign(compat.as_numpy(old).astype(dtype))
        compat.refresh_statistics(copy)
    return copy


def _networks(model):
    """The encoder and the projection head; else the model itself."""
    parts = [getattr(model, n, None) for n in ("encoder", "projection_head")]
    return [part for part in parts if part is not None] or [model]


def _custom_classes(model):
    """Classes of the model's layers, so that they need not be registered."""
    classes = {type(layer) for layer in compat.flatten_layers(model)}
    return {
        cls.__name__: cls
        for cls in classes
        if cls.__module__.split(".")[0] not in ("keras", "simclr_keras")
    }


def _is_network(module):
    """Whether a module holds networks of this package or their parts."""
    return str(module).startswith("simclr_keras.networks.")


def _with_policy(config, policy, is_ours):
    """A copy of a configuration with another dtype policy; see `rebuild`."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_policy(x, policy, is_ours) for x in config)
    if not isinstance(config, dict):
        return config
    if config.get("class_name") and "config" in config:
        is_ours = _is_network(config.get("module"))
    return {
        key: policy
        if key == "dtype" and _is_replaced(value, policy, is_ours)
        else _with_policy(value, policy, is_ours)
        for key, value in config.items()
    }


def _is_replaced(dtype, policy, is_ours):
    """Whether a policy replaces the `dtype` of a layer; see `rebuild`."""
    if isinstance(dtype, dict):  # a serialised policy
        dtype = (dtype.get("config") or {}).get("name")
    if policy in _FLOATS or is_ours:
        return dtype in _FLOATS + _MIXED
    return dtype in _MIXED
