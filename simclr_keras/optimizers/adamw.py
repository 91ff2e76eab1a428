"""Defines AdamW without weight decay of biases and normalisation."""

import keras

from simclr_keras import compat


@compat.register
class AdamW(compat.DecayMatricesOnly, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW`, with weight decay of kernels only.

    Decay is decoupled (p <- p - lr weight_decay p). It applies to variables of
    two or more dimensions, so not to biases or to the scales and offsets of
    normalisation. The arguments are those of the Keras class.

    Reference: Loshchilov & Hutter 2017 (arXiv 1711.05101), algorithm 2.
    """
