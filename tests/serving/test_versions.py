"""Numbered folders of exports are complete or absent, never replaced."""

import functools

import pytest

import simclr_keras as sk
from simclr_keras.serving.versions import new_version


def test_versions_are_counted_and_never_replaced(tmp_path):
    directory = tmp_path / "export"
    export = functools.partial(sk.export, sk.TinyResNet((4,)), image_size=16)
    (directory / "notes").mkdir(parents=True)
    first = export(directory)
    assert first == directory / "1"
    before = (first / "model_card.json").read_text()
    with pytest.raises(ValueError, match="1 exists, and is not replaced"):
        export(directory, version=1, crop_proportion=0.5)
    assert (first / "model_card.json").read_text() == before
    with new_version(directory, version=9) as (_, final):
        assert final == directory / "9"
    assert export(directory) == directory / "10"
    names = {path.name for path in directory.iterdir()}
    assert names == {"notes", "1", "9", "10"}


def test_the_highest_version_that_can_be_gone_on_with_is_loaded(tmp_path):
    """Other entries are of other formats, or of somebody else."""
    for channels in (4, 8):
        sk.export(sk.TinyResNet((channels,)), tmp_path, image_size=16)
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "model.onnx").touch()
    (tmp_path / "10").mkdir()
    assert sk.load(tmp_path).encoder.output_shape == (None, 8)


def test_a_failure_leaves_nothing_half_done(tmp_path):
    directory = tmp_path / "export"
    with pytest.raises(RuntimeError, match="on the way"):
        with new_version(directory) as (fresh, _):
            (fresh / "saved_model.pb").write_text("half")
            raise RuntimeError("on the way")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="exists"):
        with new_version(directory) as (fresh, final):
            (final / "precious").mkdir(parents=True)  # by someone else
    assert [path.name for path in directory.iterdir()] == ["1"]
    assert (directory / "1" / "precious").exists()


def test_a_path_that_tensorflow_could_not_load_is_refused_first(tmp_path):
    """Its reader of variables takes brackets for a pattern."""
    model = sk.TinyResNet((4,))
    target = tmp_path / "photos [2024]"
    with pytest.raises(ValueError, match="export_dir.*none of"):
        sk.export(model, target, image_size=8)
    assert not target.exists()
