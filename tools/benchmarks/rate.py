"""How fast this machine multiplies matrices: what a step is held against."""

import tensorflow as tf

from benchmarks import measure

_SIZES = {"CPU": (1024, 2048, 4096), "GPU": (4096, 8192, 16384)}
# Long enough for a clock that slows under load to do so.
_SECONDS = 1.0


class Product:
    """Products of two square matrices, one after the other.

    Args:
        dtype: such as `"float32"`.
        size: rows and columns.
        seconds: how long a measurement lasts, about.
    """

    def __init__(self, dtype, size, seconds=_SECONDS):
        self.size = size
        generator = tf.random.Generator.from_seed(0)
        # With this deviation the product of two has that of the first.
        self._matrices = [
            tf.cast(generator.normal((size, size), stddev=deviation), dtype)
            for deviation in (1.0, size**-0.5)
        ]
        self._multiply = tf.function(self._chain, autograph=False)
        self._times = tf.constant(1)
        for _ in range(2):  # the first one traces
            timer = measure.Timer()
            self.run(timer)
        self._times = tf.constant(max(1, round(seconds / timer.clock)))

    def _chain(self, times):
        """Each product reads the last, so that none can be left out."""
        first, second = self._matrices
        _, product = tf.while_loop(
            lambda i, _: i < times,
            lambda i, x: (i + 1, tf.matmul(x, second)),
            (0, first),
        )
        return product[0, 0]

    def run(self, timer):
        """Multiplies; returns the operations, a product and its sum two."""
        timer.start()
        # On a GPU it is done when it can be read, not before.
        float(self._multiply(self._times))
        timer.stop()
        return int(self._times) * 2 * self.size**3


def best(dtype, repeats=3, sizes=None, seconds=_SECONDS):
    """The `Product` that goes fastest, and what was measured.

    Args:
        dtype: such as `"float32"`.
        repeats: how often each size is measured.
        sizes: rows and columns to try. Default: some that suit the device.
        seconds: how long each measurement lasts, about.

    Returns:
        Pair of a `Product` and a dict of size -> `Spread` of operations per
        second.
    """
    kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
    measure.say(f"products of {dtype} matrices")
    products = {
        str(size): Product(dtype, size, seconds)
        for size in sizes or _SIZES[kind]
    }
    subjects = {size: product.run for size, product in products.items()}
    measured = measure.alternate(subjects, repeats)
    spreads = {size: measure.rates(measured, size) for size in products}
    fastest = max(spreads, key=lambda size: spreads[size].median)
    return products[fastest], spreads


def again(product, repeats=3):
    """`Spread` of operations per second of a `Product`, once more."""
    measured = measure.alternate({"": product.run}, repeats)
    return measure.rates(measured, "")
