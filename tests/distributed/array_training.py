"""A classifier on arrays, on one or two replicas; writes what it logged.

python array_training.py REPLICAS FILE
"""

import json
import sys

import keras
import numpy as np

import simclr_keras as sk

count = int(sys.argv[1])
images = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3))
images, labels = images.astype(np.uint8), np.arange(16) % 3
name = "mirrored" if count > 1 else "single"
cpus = {"logical_cpus": count} if count > 1 else {}
strategy = sk.training.choose_strategy(name, **cpus).strategy
keras.utils.set_random_seed(0)
with strategy.scope():
    model = sk.Classifier(sk.TinyResNet((4,)), 3)
    model.compile(
        keras.optimizers.SGD(0.01),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    other = sk.Classifier(sk.TinyResNet((4,)), 3)
    other.compile("sgd", "sparse_categorical_crossentropy")
evaluated = other.evaluate(images, labels, batch_size=8, verbose=0)
history = model.fit(
    images, labels, batch_size=8, epochs=2, shuffle=False, verbose=0
).history
history = {name: values for name, values in history.items()}
try:
    floats = images.astype(np.float32)
    floats[:8] /= 255  # the second half of the batch, another replica's
    model.fit(floats[4:12], labels[:8], batch_size=8, shuffle=False, verbose=0)
    history["said"] = ""
except ValueError as error:
    history["said"] = str(error)
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump(history, file)
