"""Writes embeddings for TensorBoard's embedding projector."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simclr_keras import paths
from simclr_keras.report import grids

_MAX_SPRITE = 8192  # pixels, largest side that TensorBoard accepts


def image_size(count: int) -> int:
    """Returns the side in pixels of each of `count` images in the sprite."""
    side = int(np.ceil(np.sqrt(count)))
    return max(8, min(64, _MAX_SPRITE // side))


def write(
    folder: paths.AnyPath,
    features: np.ndarray,
    ids: Sequence[str],
    labels: Sequence[str],
    images: np.ndarray,
    name: str,
) -> None:
    """Writes the files that the projector reads.

    Args:
        folder: path object of their directory, made if missing.
        features: float `[n, C]`.
        ids: strings `[n]`, name of each row.
        labels: strings `[n]`, "" for a row without a label.
        images: uint8 `[n, S, S, 3]`, where S is `image_size(n)`.
        name: name of the embedding, shown by the projector.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tensors.tsv").open("w") as file:
        np.savetxt(file, features, "%.6g", delimiter="\t")
    with (folder / "metadata.tsv").open("w", encoding="utf-8") as file:
        file.write("id\tlabel\n")
        for row in zip(ids, labels):
            # A tab or a line break in a name would shift the columns.
            cells = (" ".join(str(cell).split()) for cell in row)
            file.write("\t".join(cells) + "\n")
    grids.write_png(folder / "sprite.png", grids.sprite(images))
    size = images.shape[1]
    (folder / "projector_config.pbtxt").write_text(
        "embeddings {\n"
        f'  tensor_name: "{name}"\n'
        '  tensor_path: "tensors.tsv"\n'
        '  metadata_path: "metadata.tsv"\n'
        "  sprite {\n"
        '    image_path: "sprite.png"\n'
        f"    single_image_dim: {size}\n"
        f"    single_image_dim: {size}\n"
        "  }\n}\n"
    )
