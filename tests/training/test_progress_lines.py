"""Progress in a file: a line every half a minute, without control characters.

Rates are worked by hand: 64 images a step, on a clock that the test moves.
"""

import sys
import types

import keras
import pytest

from simclr_keras import console
from simclr_keras.commands import embed
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import progress_output
from simclr_keras.training import progress_lines


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still; its `now` can be moved, in seconds."""
    clock = types.SimpleNamespace(now=1000.0)
    fake = types.SimpleNamespace(monotonic=lambda: clock.now)
    monkeypatch.setattr(console, "time", fake)
    return clock


def _flags(*arguments, command=pretrain):
    return command_line.parse(command.define_flags, arguments)


def _terminal(monkeypatch, is_one):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_one, raising=False)


@pytest.mark.newest
def test_a_line_every_half_a_minute_and_one_at_the_end(clock, capsys):
    progress = types.SimpleNamespace(epoch=0, step=40)  # resumed there
    run_callback = types.SimpleNamespace(progress=progress)
    lines = progress_lines.ProgressLines(run_callback, 100, 64)
    for seconds, loss in ((20, 9.0), (10, 4.0), (10, 3.0), (10, 2.5), (1, 2.0)):
        clock.now += seconds
        progress.step += 5
        progress.epoch = progress.step // 25
        lines.on_train_batch_end(0, {"loss": loss})
    progress.epoch += 1  # as after a whole epoch
    lines.on_train_end()
    lines.on_train_end()
    assert capsys.readouterr().out == (
        "Epoch 3, step 60 of 100 | loss 2.5000 | 32 images/s\n"
        "Epoch 3, step 65 of 100 | loss 2.0000 | 320 images/s\n"
    )


@pytest.mark.newest
def test_of_one_step_no_rate_is_known(clock, capsys):
    progress = types.SimpleNamespace(epoch=0, step=1)
    run_callback = types.SimpleNamespace(progress=progress)
    lines = progress_lines.ProgressLines(run_callback, 1, 64)
    lines.on_train_batch_end(0, {"loss": 2.0})
    lines.on_train_end()
    expected = "Epoch 1, step 1 of 1 | loss 2.0000\n"
    assert capsys.readouterr().out == expected


@pytest.mark.newest
def test_images_are_counted_in_lines(clock, capsys):
    with console.counting(500, done=100, bar=False) as show:
        clock.now += 10
        show(150)
        clock.now += 90
        show(200)
        clock.now += 1
        show(500)
    assert capsys.readouterr().out == (
        "200 of 500 images | 1.0 images/s\n500 of 500 images | 300 images/s\n"
    )


@pytest.mark.newest
@pytest.mark.parametrize(
    "arguments, is_terminal, verbose, count",
    [
        ([], True, 1, 0),
        ([], False, 0, 1),
        (["--verbose=auto"], False, 0, 1),
        (["--verbose=0"], True, 0, 0),
        (["--verbose=1"], False, 1, 0),
        (["--verbose=2"], False, 2, 0),
    ],
)
def test_what_is_shown(monkeypatch, arguments, is_terminal, verbose, count):
    _terminal(monkeypatch, is_terminal)
    shown = progress_output.for_fit(_flags(*arguments), None, 100)
    assert (shown[0], len(shown[1])) == (verbose, count)


@pytest.mark.newest
def test_a_run_of_before_keeps_its_bar(tmp_path):
    """Its `flags.txt` has a number; a resumed run may show another one."""
    file = tmp_path / "flags.txt"
    file.write_text(_flags().flags_text.replace("verbose=auto", "verbose=1"))
    flags = _flags(f"--flagfile={file}")
    assert flags.verbose == "1"
    assert "verbose" in flags.may_change


def _bar():
    bar = keras.utils.Progbar(4)
    bar.update(2, [("loss", 1.5)])
    bar.update(4, [("loss", 1.5)])


def test_no_color_is_heeded(monkeypatch, capsys):
    """Keras 2.15 draws none; Keras 3 does, whatever NO_COLOR says."""
    monkeypatch.setenv("NO_COLOR", "1")
    with console.without_color():
        _bar()
    plain = capsys.readouterr().out
    assert "4/4" in plain
    assert "loss: 1.5000" in plain
    assert "\x1b" not in plain
    monkeypatch.setenv("NO_COLOR", "")  # which does not count
    with console.without_color():
        _bar()
    assert ("\x1b" in capsys.readouterr().out) == keras.__version__.startswith(
        "3"
    )


@pytest.mark.newest
def test_a_bar_is_for_terminals(monkeypatch, capsys):
    for is_terminal in (True, False):
        _terminal(monkeypatch, is_terminal)
        with console.counting(4) as show:
            show(4)
        said = capsys.readouterr().out
        assert ("\r" in said or "4/4" in said) == is_terminal


def test_an_embedding_in_a_file_has_no_bar(monkeypatch, clock, capsys):
    _terminal(monkeypatch, False)
    flags = _flags(command=embed)
    with progress_output.of_rows(flags, 10, 0) as show:
        clock.now += 1
        show(10)
    assert capsys.readouterr().out == "10 of 10 images | 10 images/s\n"
    quiet = _flags("--verbose=0", command=embed)
    with progress_output.of_rows(quiet, 10, 0) as show:
        assert show is None
