"""A profile of some steps in the run's TensorBoard directory."""

import pytest

import simclr_keras as sk
from simclr_keras.training import profile


def _traces(directory):
    return list(directory.glob("tensorboard/plugins/profile/*/*.xplane.pb"))


def test_a_profile_is_written_once(pretraining, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(profile, "_PLUGINS", ("no_such_plugin",))
    pretraining.fit(tmp_path, profile_steps=(2, 3))
    (trace,) = _traces(tmp_path)
    assert trace.stat().st_size > 0
    out = capsys.readouterr().out
    assert "Profile up to step 3" in out
    assert "pip install tensorboard-plugin-profile" in out
    pretraining.fit(tmp_path, 3, profile_steps=(2, 3))
    assert _traces(tmp_path) == [trace]
    assert "No profile: step 2 of profile_steps=2,3" in capsys.readouterr().out


def test_a_training_that_ends_before_ends_the_profile(pretraining, tmp_path):
    pretraining.fit(tmp_path, epochs=1, profile_steps=(3, 100))
    assert len(_traces(tmp_path)) == 1
    pretraining.fit(tmp_path / "another", epochs=1, profile_steps=(1, 2))


@pytest.mark.parametrize("steps", [(3, 3), (0, 2), (1,), "ab", 5, (1, 2, 3)])
def test_wrong_steps(tmp_path, steps):
    with pytest.raises(ValueError, match="two steps from 1.*Received: profile"):
        sk.training.callbacks(tmp_path, profile_steps=steps)
