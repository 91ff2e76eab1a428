"""What all tests share: the material, the stages of a run, what is left out."""

import fcntl
import json
import os
import pathlib
import signal
import sys
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The official implementation's numbers, CIFAR-10 and photographs; optional.
SHARED = pathlib.Path(
    os.environ.get("SIMCLR_KERAS_SHARED", ROOT.parent / "shared")
)
# For `forked`, which the processes that it starts import too.
sys.path.insert(0, str(ROOT / "tests"))

import forked

# A shell's background jobs ignore the first, and what nohup starts the second;
# tests start processes that must not.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)

# Most of the time first, so that no worker of pytest-xdist begins a long file
# when the others have ended. Files that are not named follow.
LONGEST_FIRST = (
    "distributed/test_same_numbers",
    "end_to_end/test_kill",
    "commands/test_tasks",
    "distributed/test_evaluation",
    "distributed/test_workers",
    "end_to_end/test_main_job",
    "commands/test_channels",
    "commands/test_study",
    "end_to_end/test_learning",
    "end_to_end/test_remote_paths",
    "end_to_end/test_photographs",
    "models/test_micro_batches",
    "images/test_one_policy",
    "models/test_data_of_others",
    "models/test_simclr",
    "data/test_epochs",
    "commands/test_longer_runs",
    "training/test_saving",
    "training/test_steps",
    "data/sources/test_tfds",
)


def pytest_addoption(parser):
    parser.addoption(
        "--all",
        action="store_true",
        help="run the long tests too, and on the older stack those that are"
        " marked `newest`",
    )


def pytest_collection_modifyitems(config, items):
    """Leaves out what the short run does without; sorts the files."""
    if not config.getoption("--all"):
        from simclr_keras import compat

        left_out = {"long"} if compat.KERAS_3 else {"long", "newest"}
        kept, gone = [], []
        for item in items:
            marks = {mark.name for mark in item.iter_markers()}
            (gone if marks & left_out else kept).append(item)
        config.hook.pytest_deselected(items=gone)
        items[:] = kept
    items.sort(key=lambda item: _rank(item.path))


def _rank(path):
    name = path.relative_to(ROOT / "tests").with_suffix("").as_posix()
    if name in LONGEST_FIRST:
        return LONGEST_FIRST.index(name)
    return len(LONGEST_FIRST)


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """Commands keep what they compile and decode away from the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True, scope="session")
def _views_are_not_compiled():
    """XLA takes six seconds for each shape of views, and is not the subject.

    The fixture `compiled_views` brings it back, and so does `jit=True`.
    """
    import tensorflow as tf

    original = tf.test.is_built_with_xla
    tf.test.is_built_with_xla = lambda: False
    yield
    tf.test.is_built_with_xla = original


@pytest.fixture(autouse=True, scope="module")
def _forget_custom_gradients():
    """Lets go of the graphs that have called a `tf.custom_gradient`.

    TensorFlow registers the gradient of each such call for good, and with it
    the graph: some 2 GB of a process in the course of all tests.
    """
    yield
    if "tensorflow" in sys.modules:
        from tensorflow.python.framework import ops

        registered = ops.gradient_registry._registry
        for name in list(registered):
            if name.startswith("CustomGradient-"):
                del registered[name]


@pytest.fixture
def no_cluster(monkeypatch):
    """Hides the cluster that the tests themselves may run on."""
    for name in list(os.environ):
        if name.startswith("SLURM_") or name in ("TF_CONFIG", "TPU_NAME"):
            monkeypatch.delenv(name)


@pytest.fixture
def compiled_views(monkeypatch):
    """Lets XLA compile the views, as it does outside of tests."""
    import tensorflow as tf

    monkeypatch.setattr(tf.test, "is_built_with_xla", lambda: True)


@pytest.fixture(autouse=True)
def _default_policy(request):
    """Takes back the precision that a command has set for all of Keras."""
    yield
    if "keras" in sys.modules:
        import keras

        keras.mixed_precision.set_global_policy("float32")


class Settings(types.SimpleNamespace):
    """Settings of a command that note which of them are read."""

    def __getattribute__(self, name):
        if not name.startswith("_"):
            super().__getattribute__("_read").add(name)
        return super().__getattribute__(name)


def run_command(command, *arguments):
    """Runs a command of the package in this process.

    Args:
        command: its module, such as `simclr_keras.commands.pretrain`.
        *arguments: its command line.

    Returns:
        What its `run` returns: mostly the dict of `results.json`.
    """
    return run_and_note(command, *arguments)[0]


def run_and_note(command, *arguments):
    """As `run_command`; returns the flags that nothing has read, too."""
    from simclr_keras.commands.common import command_line

    settings = vars(command_line.parse(command.define_flags, arguments))
    noting = Settings(_read=set(), **settings)
    results = command.run(noting)
    return results, set(settings) - noting._read - {"help", "flags_text"}


@pytest.fixture(scope="session")
def run():
    """`run_command`."""
    return run_command


@pytest.fixture(scope="session")
def noted_run():
    """`run_and_note`."""
    return run_and_note


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, run):
    """A finished run of the quick start's recipe: (directory, command line).

    Shortened to 70 steps, three short epochs. It is made once, also for several
    workers of pytest-xdist; copy it to change it.
    """
    from simclr_keras.commands import pretrain

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    directory = folder / "pretrained"
    recipe = ROOT / "flags" / "shapes" / "pretrain.flags"
    arguments = [
        f"--flagfile={recipe}",
        f"--model_dir={directory}",
        "--train_split=train[:512]",
        "--eval_split=test[:128]",
        "--train_batch_size=16",
        "--train_steps=70",
        "--checkpoint_epochs=1",
        "--eval_every_epochs=2",
        "--log_every=10",
        "--verbose=0",
    ]
    with open(folder / "pretrained.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(pretrain, *arguments)  # which returns at once where it has ended
    return directory, arguments


@pytest.fixture(scope="module")
def fork_workers(tmp_path_factory):
    """Function of (count, path, arguments) that starts `forked.workers`.

    All are ended with the module's tests; one alone has no `TF_CONFIG`.
    """
    processes = []

    def begin(count, path, arguments):
        logs = tmp_path_factory.mktemp("logs")
        if count == 1:
            started = [forked.Process(path, arguments, logs / "log")]
        else:
            started = forked.workers(count, path, arguments, logs)
        processes.extend(started)
        return started

    yield begin
    for process in processes:
        process.end()


@pytest.fixture(scope="module")
def fork(fork_workers):
    """Function of (path, arguments) that starts a `forked.Process`."""
    return lambda path, arguments: fork_workers(1, path, arguments)[0]


def _needed(path):
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand")
    return path


@pytest.fixture(scope="session")
def parity():
    """Folder with the official implementation's numbers.

    The full set where it is at hand, else the small ones in this repository.
    """

    def path(name):
        full = SHARED / "parity" / name
        return (
            full if full.exists() else _needed(ROOT / "tests/fixtures" / name)
        )

    return path


@pytest.fixture(scope="session")
def cifar10_dir():
    """TFDS folder that holds CIFAR-10; skips where it is absent."""
    _needed(SHARED / "data" / "tfds" / "cifar10")
    return str(SHARED / "data" / "tfds")


@pytest.fixture(scope="session")
def photos_dir():
    """Folder of real photographs; skips where it is absent."""
    return str(_needed(SHARED / "data" / "photos"))


@pytest.fixture(scope="session")
def preprocess(parity):
    """Arrays by name, with the file's settings as `info`."""
    with np.load(parity("preprocess.npz"), allow_pickle=False) as arrays:
        arrays = dict(arrays)
    info = json.loads(str(arrays.pop("info_json")))
    return types.SimpleNamespace(info=info, **arrays)


@pytest.fixture
def close_to():
    """Compares an 11-vector of statistics with the fixture's.

    The fixture's vectors are the quantiles 1, 5, 25, 50, 75, 95, 99 %, mean,
    standard deviation, minimum and maximum. With 30,000 samples a side, the
    standard error of the difference of two quantiles is about 0.4 % of the
    range, so the fixture's suggestion of 2 % is five of them.
    """

    def check(samples, expected, tolerance=0.02):
        samples = np.asarray(samples, np.float64)
        levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
        ours = [*np.quantile(samples, levels), samples.mean(), samples.std()]
        span = expected[10] - expected[9]
        np.testing.assert_allclose(
            ours, expected[:9], rtol=0, atol=tolerance * span
        )

    return check


@pytest.fixture(scope="session")
def seeds():
    """Seeds of many images."""

    import tensorflow as tf

    from simclr_keras import randomness

    def make(count, step=0, view=0):
        return randomness.stateless_seeds(11, step, tf.range(count), view)

    return make


@pytest.fixture(scope="session")
def pictures():
    """Smooth random images, `uint8` `[B, size, size, 3]`."""

    import tensorflow as tf

    def make(count, size, seed=0):
        coarse = np.random.RandomState(seed).rand(count, 6, 6, 3)
        fine = tf.image.resize(coarse, [size, size], "bicubic").numpy()
        return (255 * np.clip(fine, 0, 1)).astype(np.uint8)

    return make
