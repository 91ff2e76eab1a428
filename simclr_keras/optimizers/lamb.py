"""Defines LAMB without weight decay of biases and normalisation.

On Keras 2.15 it needs tensorflow-addons, and is imported only when used. On
Keras 3 it is always imported, so that Keras finds the class in saved models.
"""

from simclr_keras import compat


@compat.register
class Lamb(*compat.lamb_bases()):
    """LAMB of Keras 3 or of tensorflow-addons, with decay of kernels only.

    Decay applies to variables of two or more dimensions. The two versions
    apply it at different places: tensorflow-addons adds it to the update
    before the trust ratio, as in the paper; Keras 3 decays p by lr
    weight_decay p separately from the update. The arguments are those of the
    base class.

    A `tf.train.Checkpoint` always contains the moments. A `.keras` file
    contains them only on Keras 3, because Keras 2.15 does not save legacy
    optimizers, such as those of tensorflow-addons.

    Reference: You et al. 2019 (arXiv 1904.00962), algorithm 2.
    """
