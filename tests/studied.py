"""What the tests of simclr-study have in common."""

import csv

SMALL = (
    "--dataset=shapes",
    "--train_split=train[:96]",
    "--eval_split=test[:40]",
    "--encoder=tiny",
    "--width_multiplier=0.1",
    "--image_size=16",
    "--train_batch_size=16",
    "--train_steps=4",
    "--train_epochs=1",
    "--warmup_epochs=0",
    "--optimizer=adamw",
    "--knn_k=10",
    "--label_fractions=0.5",
    "--verbose=0",
)


def rows(directory):
    """Rows of the table that a study has written."""
    with open(directory / "table.csv", newline="") as file:
        return list(csv.DictReader(file))
