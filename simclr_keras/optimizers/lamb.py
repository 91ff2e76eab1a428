"""LAMB whose decay leaves biases and normalisation alone.

Imported when it is asked for only: on Keras 2.15 it needs tensorflow-addons.
"""

from simclr_keras import compat


@compat.register
class Lamb(*compat.lamb_bases()):
    """LAMB of Keras 3 or of tensorflow-addons, with decay of kernels only.

    Decay reaches variables of two or more dimensions. The two versions differ
    in where it acts: that of tensorflow-addons adds it to the update before
    the trust ratio, as in the paper; that of Keras 3 decays p by lr
    weight_decay p apart from the update. Arguments are those of the class
    beneath.

    The moments are in every `tf.train.Checkpoint`; in a `.keras` file they are
    on Keras 3 only, since Keras 2.15 leaves out optimizers of the kind that
    tensorflow-addons has.

    Reference: You et al. 2019 (arXiv 1904.00962), algorithm 2.
    """
