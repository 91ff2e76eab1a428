"""Computes the embeddings of `simclr-embed`, and writes their files."""

import dataclasses
import time
from typing import Any

import simclr_keras as sk
from simclr_keras.commands.common import embedding_index
from simclr_keras.commands.common import progress_output

_PARQUET = "parquet"
# Until when a worker must see the run directory that the first one has made:
# network disks show a new folder after some seconds.
_SECONDS = 60.0


def check(flags):
    """Refuses a format of the files that cannot be written, before any work.

    Raises:
        ValueError: the package that it needs cannot be imported.
    """
    if flags.format == _PARQUET:
        from simclr_keras.evaluation import parquet

        parquet.check_usable("--format")


@dataclasses.dataclass(frozen=True)
class _Job:
    """What is embedded, and how.

    Attributes:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        source: `data.Source` of the images.
        extractor: `evaluation.Extractor` of their embeddings.
        size: side of the network's input in pixels.
        columns: numbers of an embedding.
    """

    flags: Any
    devices: Any
    source: Any
    extractor: Any
    size: int
    columns: int

    def batches(self, source, rows):
        """Embeddings of some rows of a source, batch by batch."""
        if not len(rows):
            return
        if len(rows) < source.num_examples:
            source = source.take(rows)
        dataset = sk.data.evaluation_images(
            source, self.size, self.flags.eval_batch_size, labelled=False
        )
        for h, _ in self.extractor.batches(dataset):
            yield h

    def begin(self, part, source):
        """Writes the index of a part, and opens the file of its rows.

        Args:
            part: `embedding_files.Part`.
            source: the images of this part.

        Returns:
            `RowsFile`; None if all rows are in a complete file already.
        """
        if part.is_complete:
            return None
        if part.index is not None:
            embedding_index.write(part.index, source, part.first)
        return sk.evaluation.RowsFile(part.array, part.count, self.columns)

    def finish(self, part, source, file):
        """Gives a complete file its name, and converts it if it is Parquet.

        Args:
            part: see `begin`.
            source: see `begin`.
            file: what `begin` returned, now with all rows.
        """
        import numpy as np

        from simclr_keras import paths
        from simclr_keras.evaluation import parquet

        if file is not None:
            file.finish()
        part.remove_note()
        if part.path == part.array:
            return
        if not part.path.exists():
            labels = embedding_index.label_columns(source)
            with paths.local_copy(part.array) as local:
                rows = np.load(local, mmap_mode="r")
                parquet.write(part.path, rows, source.ids, labels, part.first)
        part.array.unlink(missing_ok=True)


def are_missing(flags, run, source):
    """Whether files of a run that has ended are gone."""
    from simclr_keras.evaluation import embedding_files

    parts = embedding_files.parts_of(
        run.path, source.num_examples, flags.rows_per_file, flags.format
    )
    return not all(part.path.exists() for part in parts)


def write(flags, devices, run, source, features, size):
    """Writes the files of embeddings, and what is missing of them.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`, whose workers share the work.
        run: `RunDirectory` for the files.
        source: `data.Source` of the images.
        features: function of float images that returns their embeddings.
        size: side of its input images in pixels.

    Returns:
        Pair of the results and the timing of the run.

    Raises:
        ValueError: the directory holds files of other embeddings, or damaged
            ones; or not all workers see it.
    """
    import numpy as np

    from simclr_keras.distribute import workers
    from simclr_keras.evaluation import embedding_files

    started = time.perf_counter()
    shape = (size, size, source.num_channels)
    columns = features(np.zeros([1, *shape], np.float32)).shape[-1]
    extractor = sk.evaluation.Extractor(features, channels=shape[-1])
    job = _Job(flags, devices, source, extractor, size, columns)
    rows_per_file = flags.rows_per_file
    parts = embedding_files.parts_of(
        run.path, source.num_examples, rows_per_file, flags.format
    )

    def check_files():
        embedding_files.refuse_others(run.path, parts)
        for part in parts:
            part.check(columns)

    workers.from_chief(devices.strategy, check_files)
    if rows_per_file:
        _check_directory(devices, [run.flags])
        embedded = np.array([_write_parts(job, parts)])
        embedded = int(workers.worker_sum(devices.strategy, embedded)[0])
        _check_directory(devices, [part.path for part in parts])
    else:
        embedded = _write_together(job, parts[0])
    seconds = time.perf_counter() - started
    results = {
        "dataset": source.name,
        "split": source.split,
        "images": source.num_examples,
        "layer": flags.layer,
        "numbers": columns,
        **({"files": len(parts)} if rows_per_file else {}),
    }
    timing = {
        "seconds": round(seconds, 1),
        "images_per_second": round(embedded / seconds, 1),
    }
    return results, timing


def _write_together(job, part):
    """Writes one file: workers compute batches in turn, the chief writes.

    Returns:
        Number of images that were embedded now.
    """
    import numpy as np

    from simclr_keras.distribute import sharing
    from simclr_keras.distribute import workers

    strategy, chief = job.devices.strategy, job.devices.chief
    file = None

    def begin():
        nonlocal file
        file = job.begin(part, job.source)
        return part.count if file is None else file.done

    done = workers.from_chief(strategy, begin)
    _say_resumed(done, part.count)
    size = job.flags.eval_batch_size
    rows = np.arange(done, part.count)
    turns = np.arange(len(rows)) // size % workers.worker_count(strategy)
    own = rows[turns == workers.worker_number(strategy)]
    batches = sharing.in_turn(
        strategy, job.batches(job.source, own), -(-len(rows) // size)
    )
    if not chief:
        for _ in batches:
            pass
        return part.count - done
    if file is not None:
        with progress_output.of_rows(job.flags, part.count, done) as show:
            file.append_all(batches, show)
    job.finish(part, job.source, file)
    return part.count - done


def _write_parts(job, parts):
    """Writes this worker's files; returns how many images were embedded now."""
    import numpy as np

    from simclr_keras.distribute import sharing

    own = parts[sharing.own_slice(job.devices.strategy, len(parts))]
    count = sum(part.count for part in own)
    done = sum(part.count for part in own if part.is_complete)
    embedded = 0
    with progress_output.of_rows(job.flags, count, done) as show:
        for part in own:
            if part.path.exists():
                job.finish(part, None, None)
                continue
            source = job.source.take(np.arange(part.first, part.stop))
            file = job.begin(part, source)
            if file is not None:
                if file.done or not embedded:
                    _say_resumed(done + file.done, count)
                embedded += part.count - file.done
                rows = np.arange(file.done, part.count)
                file.append_all(
                    job.batches(source, rows),
                    show and (lambda n, before=done: show(before + n)),
                )
                done += part.count
            job.finish(part, source, file)
    return embedded


def _say_resumed(done, count):
    if 0 < done < count:
        print(f"Resuming after {done} of {count} images.")


def _check_directory(devices, files):
    """Refuses a run directory in which not all workers see some files."""
    import numpy as np

    from simclr_keras.distribute import workers

    if not workers.spans_processes(devices.strategy):
        return
    end = time.monotonic() + _SECONDS
    missing = [path for path in files if not path.exists()]
    while missing and time.monotonic() < end:
        time.sleep(0.5)
        missing = [path for path in missing if not path.exists()]
    seeing = np.array([int(not missing)])
    seeing = int(workers.worker_sum(devices.strategy, seeing)[0])
    count = workers.worker_count(devices.strategy)
    if seeing < count:
        raise ValueError(
            "--model_dir must be a directory that all workers see, as each of"
            " them writes files of --rows_per_file rows; leave that out for one"
            f" file, which the first worker writes. Received: {files[0].parent}"
            f", which {seeing} of {count} workers see whole"
        )
