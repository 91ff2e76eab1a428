"""Two replicas draw views; fails where these are not what one draws.

To be run in a process of its own, whose CPU it splits, with the arguments of
`TwoViews` as JSON.
"""

import json
import sys

import numpy as np
import tensorflow as tf

from simclr_keras import views


def main(arguments):
    """Compares the two with plain views of the whole batch."""
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration()] * 2,
    )
    images = np.random.RandomState(0).randint(0, 256, [8, 24, 24, 3])
    images = tf.constant(images, tf.uint8)
    expected = views.TwoViews(24, **{**arguments, "jit": False})(images, 7)
    layer = views.TwoViews(24, **arguments)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])

    @tf.function
    def step(number):
        def replica():
            context = tf.distribute.get_replica_context()
            begin = 4 * context.replica_id_in_sync_group
            positions = begin + tf.range(4)
            mine = tf.gather(images, positions)
            return layer(mine, number, positions=positions)

        return strategy.run(replica)

    for ours, view in zip(step(tf.constant(7)), expected):
        ours = np.concatenate(strategy.experimental_local_results(ours))
        np.testing.assert_allclose(ours, view, rtol=0, atol=1e-5)
    print("replicas agree")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
