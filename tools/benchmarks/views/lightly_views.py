"""Lightly's SimCLR transform behind a data loader; no TensorFlow in here.

The loader's processes load this module.
"""

import itertools

import PIL.Image
import torch
import torchvision
from lightly.transforms import simclr_transform

_WORKERS = 2


class _Pairs(torch.utils.data.IterableDataset):
    """Two views of every image, endlessly.

    Args:
        images: uint8 `[n, H, W, 3]`; or `[n, 2, H, W, 3]`, ready crops.
        size: of the views in pixels.
        ready: whether they are crops.
    """

    def __init__(self, images, size, ready):
        self._images, self._ready = images, ready
        transform = simclr_transform.SimCLRViewTransform(
            size, gaussian_blur=0.5 if size > 32 else 0.0, normalize=None
        )
        if ready:
            steps = [
                step
                for step in transform.transform.transforms
                if not isinstance(
                    step, torchvision.transforms.RandomResizedCrop
                )
            ]
            transform = torchvision.transforms.Compose(steps)
        self._transform = transform

    def __iter__(self):
        for image in itertools.cycle(self._images):
            pair = image if self._ready else (image, image)
            yield tuple(
                self._transform(PIL.Image.fromarray(each)) for each in pair
            )


def loader(images, size, ready):
    """Loader of pairs of batches, of as many images as are given."""
    return torch.utils.data.DataLoader(
        _Pairs(images, size, ready),
        batch_size=len(images),
        num_workers=_WORKERS,
        # A fork of a process with TensorFlow's threads may wait forever.
        multiprocessing_context="spawn",
    )
