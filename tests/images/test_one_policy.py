"""A file has the same embedding in evaluation, commands and exports."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import evaluation
from simclr_keras import images
from simclr_keras.commands import embed
from simclr_keras.commands.common import command_line
from simclr_keras.report import neighbor_grid

SIZES = [
    pytest.param(32, marks=pytest.mark.newest),
    33,
    pytest.param(64, marks=pytest.mark.long),
    pytest.param(224, marks=pytest.mark.long),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, every_kind):
    path = tmp_path_factory.mktemp("files")
    for name, content in every_kind.items():
        (path / name).write_bytes(content)
    return path


def _model(size):
    keras.utils.set_random_seed(0)
    return sk.SimCLR(
        sk.TinyResNet((4,)), views=sk.TwoViews(size, jit=False, blur=False)
    )


def _embedded(folder, model, run, *flags):
    """Rows of `simclr-embed` by file name."""
    path = run.with_suffix(".keras")
    if not path.exists():
        model.save(path)
    arguments = [
        f"--dataset=folder:{folder}",
        f"--checkpoint={path}",
        f"--model_dir={run}",
        "--eval_batch_size=7",
        *flags,
    ]
    embed.run(command_line.parse(embed.define_flags, arguments))
    index = (run / "index.csv").read_text().splitlines()[1:]
    names = [line.split(",")[1].rsplit("/", 1)[-1] for line in index]
    return names, np.load(run / "embeddings.npy")


@pytest.mark.parametrize("size", SIZES)
def test_every_way_to_an_embedding_agrees(size, folder, tmp_path, every_kind):
    """Within 1e-5: convolutions of other batches round differently."""
    model = _model(size)
    names, rows = _embedded(folder, model, tmp_path / "embed")
    assert names == sorted(every_kind)
    close = dict(rtol=0, atol=1e-5)
    dataset = sk.data.load(
        f"folder:{folder}", image_size=size, batch_size=5, training=False
    )
    by_pipeline, _ = evaluation.extract(model, dataset)
    np.testing.assert_allclose(by_pipeline, rows, **close)
    export = sk.export(model, tmp_path / "export")
    served = tf.saved_model.load(str(export)).signatures
    contents = tf.constant([every_kind[name] for name in names])
    by_bytes = served["serve_encoded"](encoded=contents)["embedding"]
    np.testing.assert_allclose(by_bytes, rows, **close)
    decode = tf.function(images.decode)
    for name, row in zip(names, rows):
        query = neighbor_grid.query_image(str(folder / name), images.MAX_PIXELS)
        by_query = model.embed(images.CenterCrop(size)(query))[0]
        np.testing.assert_allclose(by_query, row, **close, err_msg=name)
        pixels = decode(tf.constant(every_kind[name]))[tf.newaxis]
        by_pixels = served["serving_default"](images=pixels)["embedding"][0]
        np.testing.assert_allclose(by_pixels, row, **close, err_msg=name)
    assert np.ptp(rows, axis=0).max() > 1e-3  # not all one and the same


@pytest.mark.parametrize("name", ["lossy.webp", "palette.gif", "rgb.bmp"])
@pytest.mark.newest
def test_neighbors_of_a_file_begin_with_itself(
    name, folder, tmp_path, every_kind, monkeypatch
):
    if name not in every_kind:
        pytest.skip("no WebP here")
    found = {}
    nearest = evaluation.nearest

    def noted(queries, bank, k):
        found["rows"], found["similarity"] = nearest(queries, bank, k)
        return found["rows"], found["similarity"]

    monkeypatch.setattr(evaluation, "nearest", noted)
    names, _ = _embedded(
        folder,
        _model(33),
        tmp_path / "embed",
        f"--neighbors={folder / name}",
        "--neighbors_k=6",  # animated.gif begins with the same picture
    )
    alike = {names[row] for row in found["rows"][0]}
    assert name in alike
    np.testing.assert_allclose(found["similarity"][0, 0], 1, atol=1e-6)
    assert (tmp_path / "embed" / "neighbors.png").exists()


def test_onnx_agrees_with_the_evaluation(folder, tmp_path, every_kind):
    """From pixels, as an ONNX file does not decode images."""
    pytest.importorskip("tf2onnx")
    runtime = pytest.importorskip("onnxruntime")
    names = ["turned6.jpg", "palette.gif", "flat.png", "large.jpg"]
    path = tmp_path / "some"
    path.mkdir()
    for name in names:
        (path / name).write_bytes(every_kind[name])
    model = _model(33)
    dataset = sk.data.load(
        f"folder:{path}", image_size=33, batch_size=2, training=False
    )
    rows, _ = evaluation.extract(model, dataset)
    export = sk.export(model, tmp_path / "export", format="onnx")
    session = runtime.InferenceSession(
        str(export / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    for name, row in zip(sorted(names), rows):
        pixels = images.decode(every_kind[name])[tf.newaxis].numpy()
        (embedding,) = session.run(["embedding"], {"images": pixels})
        np.testing.assert_allclose(
            embedding[0], row, rtol=0, atol=1e-5, err_msg=name
        )
