"""Batches that a tf.data service makes equal those made without it."""

import io
import socket
import threading

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras.commands import pretrain
from simclr_keras.data import arrivals
from simclr_keras.data import data_service
from simclr_keras.data.host_crops import NO_CROPS

service = tf.data.experimental.service


def encoded(number, file_format="JPEG"):
    """A picture whose size and colours depend on its number."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, [20 + number, 30 - number, 3], np.uint8)
    file = io.BytesIO()
    PIL.Image.fromarray(pixels).save(file, file_format)
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for number in range(14):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(number))
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def address():
    """A dispatcher with two workers, as the guide starts them."""
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=0))
    place = dispatcher.target.partition("://")[2]
    workers = [
        service.WorkerServer(service.WorkerConfig(dispatcher_address=place))
        for _ in range(2)
    ]
    yield dispatcher.target
    del workers


@pytest.fixture
def arrived(monkeypatch):
    """Whether each batch that was asked for came from the workers."""
    found = []

    class Noting(arrivals.Arrivals):
        def take(self, number):
            taken = super().take(number)
            found.append(taken[0])
            return taken

    monkeypatch.setattr(data_service, "Arrivals", Noting)
    return found


def load(folder, address=None, **options):
    return data.load(
        f"folder:{folder}",
        batch_size=4,
        image_size=8,
        labelled=True,
        seed=5,
        data_service=address,
        **options,
    )


def assert_equal(ours, theirs, count):
    ours, theirs = list(ours), list(theirs)
    assert len(ours) == len(theirs) == count
    for one, other in zip(ours, theirs):
        for a, b in zip(one, other):
            np.testing.assert_array_equal(a, b)


def test_batches_are_those_without_it(folder, address, arrived):
    """Of an epoch and the next, and one process's part from a step on."""
    served, alone = load(folder, address), load(folder)
    for _ in range(2):
        assert_equal(served, alone, 3)
    for each in (served, alone):
        each.seek(7, 2)
    part = (1, 2)
    assert_equal(served.endless(part).take(4), alone.endless(part).take(4), 4)
    # A batch that is not waited for is made here, and equal too.
    assert np.mean(arrived) > 0.5


def test_workers_do_not_tune(folder):
    """`untuned` says why."""
    batches = load(folder).one_epoch
    dataset = data_service._of_workers(batches, 0, (0, 1), NO_CROPS)
    assert dataset.options().autotune.enabled is False


@pytest.mark.newest
def test_what_workers_cannot_decode_is_decoded_here(
    folder, address, arrived, capsys
):
    served, alone = load(folder, address), load(folder)
    for path in sorted(folder.glob("*/*.jpg"))[3:]:  # in every batch of 4
        path.write_bytes(encoded(int(path.stem), "PNG"))
    assert_equal(served, alone, 3)
    assert not any(arrived)
    assert " is decoded here, as it has" in capsys.readouterr().out


def sent(numbers, fail=False):
    """`Arrivals` of a service that sends batches in this order.

    A batch is its number. A negative number is a batch that is not complete.
    """

    def from_number(first):
        for number in numbers:
            if abs(number) >= first:
                yield abs(number), number >= 0, tf.constant(number)
        if fail:
            raise tf.errors.UnavailableError(None, None, "all workers left")
        threading.Event().wait()  # as a service without workers does

    return arrivals.Arrivals(from_number, (np.zeros(0),), 3, "grpc://there:1")


def taken(sender, numbers):
    """Numbers that arrived, None for a batch that did not."""
    found = (sender.take(tf.constant(number)) for number in numbers)
    return [int(batch) if there else None for there, batch in found]


@pytest.mark.newest
def test_order_of_arrival_does_not_matter():
    assert taken(sent([2, 0, 1, 4, 3]), range(5)) == [0, 1, 2, 3, 4]


@pytest.mark.newest
def test_a_missing_batch_is_not_waited_for_when_three_later_ones_are_there():
    sender = sent([0, 2, 3, 4, 1, 5])
    assert taken(sender, range(6)) == [0, None, 2, 3, 4, 5]


@pytest.mark.newest
def test_an_incomplete_batch_does_not_arrive():
    assert taken(sent([0, -1, 2]), range(3)) == [0, None, 2]


@pytest.mark.newest
def test_another_position_begins_anew():
    sender = sent([1, 0, 2, 3])
    assert taken(sender, [0, 1, 3, 1, 2]) == [0, 1, 3, 1, 2]


@pytest.mark.newest
def test_a_silent_service_is_waited_for_once(monkeypatch):
    monkeypatch.setattr(arrivals, "_SILENCE_SECONDS", 0.2)
    assert taken(sent([0]), range(4)) == [0, None, None, None]


@pytest.mark.newest
def test_a_failure_of_the_service_names_it():
    sender = sent([0], fail=True)
    assert taken(sender, [0]) == [0]
    with pytest.raises(RuntimeError) as caught:
        sender.take(tf.constant(1))
    assert "grpc://there:1 has failed" in str(caught.value)
    assert "all workers left" in str(caught.value)
    message = f"UnknownError: RuntimeError: {caught.value}\nTraceback"
    assert arrivals.explain(message) == str(caught.value)


@pytest.mark.newest
@pytest.mark.parametrize(
    "address", ["localhost:5050", "grpc://localhost", "grpc://h:70000", "grpc"]
)
def test_an_address_has_a_scheme_a_host_and_a_port(run, tmp_path, address):
    with pytest.raises(ValueError, match="grpc://HOST:PORT"):
        run(
            pretrain,
            f"--data_service={address}",
            f"--model_dir={tmp_path}/run",
        )


@pytest.mark.newest
def test_an_address_of_ipv6_has_brackets():
    assert data.check_address("grpc://[::1]:5050") == ("::1", 5050)


@pytest.mark.newest
def test_nothing_that_answers_is_an_error_that_names_the_address(
    folder, monkeypatch
):
    monkeypatch.setattr(data_service, "_ANSWER_SECONDS", 1)
    with socket.socket() as taken:
        taken.bind(("localhost", 0))
        address = f"grpc://localhost:{taken.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"{address}, where nothing"):
            load(folder, address)
        taken.listen()  # accepts connections, and says nothing
        with pytest.raises(ValueError, match=f"{address}, which accepts"):
            load(folder, address)


@pytest.mark.newest
def test_images_that_workers_cannot_read_are_refused(folder, tmp_path):
    address = "grpc://localhost:1"
    (folder / "a" / "04.jpg").write_bytes(encoded(4, "PNG"))
    with pytest.raises(ValueError, match="1 of 14 .* JPEG, .*04.jpg"):
        load(folder, address)
    with pytest.raises(ValueError, match="images are decoded"):
        load(folder, address, cache="memory")
    with pytest.raises(ValueError, match="left out of evaluation"):
        load(folder, address, training=False)
    pixels = np.zeros([8, 4, 4, 3], np.uint8)
    with pytest.raises(ValueError, match="images are in memory"):
        data.load(pixels, batch_size=4, data_service=address)


@pytest.mark.newest
def test_a_cache_is_refused_beside_it(run, folder, tmp_path):
    with pytest.raises(ValueError, match="--cache must be auto or none"):
        run(
            pretrain,
            f"--dataset=folder:{folder}",
            "--data_service=grpc://localhost:1",
            "--cache=memory",
            f"--model_dir={tmp_path}/run",
        )
