"""What the suite measured as Markdown."""

from benchmarks import words
from benchmarks.measure import rates
from benchmarks.spread import ratio
from simclr_keras.evaluation import markdown_table

_NAMES = {
    "ours, compiled": "ours, batched, compiled by XLA",
    "ours, not compiled": "ours, batched, not compiled",
    "tf.data": "tf.image in tf.data, image by image",
    "keras-cv": "keras-cv's layers in tf.data, batched",
    "Lightly": "Lightly's transform, two processes",
}


def report(results):
    """All tables, of what `run` returns."""
    parts = [_size(each, results["repeats"]) for each in results["sizes"]]
    versions = [f"{name} {v}" for name, v in results["versions"].items()]
    parts += [f"Versions: {', '.join(versions)}."] if versions else []
    parts += [
        f"{name} was left out: not installed: {', '.join(absent)}."
        for name, absent in results["left_out"].items()
    ]
    return "\n\n".join(parts)


def _size(each, repeats):
    size, measured = each["size"], each["measured"]
    source = "ready crops" if each["ready"] else f"images of {size} pixels"
    about = f"""
        Two views of every image, of {source}, with the same operations drawn
        with the same probabilities. Median (lowest-highest) of {repeats}
        repeats in turn, of {each["steps"]} batches of {each["batch"]} images;
        ratios are taken within a repeat."""
    tf_data = measured["tf.data"]["clock"]
    rows = [
        (
            _NAMES[name],
            rates(measured, name).text(0),
            ratio(tf_data, times["clock"]).text(2),
        )
        for name, times in measured.items()
    ]
    header = ["views", "images/s", "against tf.data"]
    return "\n\n".join(
        [
            f"## Views of {size} pixels",
            words.paragraph(about),
            markdown_table(rows, header),
        ]
    )
