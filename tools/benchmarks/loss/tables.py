"""What the suite measured as Markdown."""

from benchmarks import words
from benchmarks.loss import losses
from benchmarks.spread import Spread
from benchmarks.spread import ratio
from simclr_keras.evaluation import markdown_table

_KINDS = {
    "whole": "NTXent, matrix as a whole",
    "tiles": "NTXent, in tiles",
    "chosen": "NTXent, as it chooses",
    "metrics": "contrastive_metrics",
    "health": "representation_health",
    "keras-cv": "keras-cv SimCLRLoss",
    "lightly": "Lightly NTXentLoss",
}


def report(results):
    """All tables, of what `run` returns."""
    about = words.paragraph(f"""
        NT-Xent and its gradient for two views of N images, float32, z of
        {losses.DIMENSIONS}, random; the two lines of what is logged have no
        gradient, and of these the health is logged at every tenth step. Median
        (lowest-highest) of repeats in turn, ratios within a repeat; more than 1
        is less than the whole matrix takes. Memory is what one run adds to a
        process of its own.""")
    return "\n\n".join([about, *map(_batch, results["batches"])])


def _batch(batch):
    seconds, peaks = batch["seconds"], batch["peak_bytes"]
    whole = seconds.get("whole")

    def row(kind):
        clock, core = (seconds[kind][unit] for unit in ("clock", "core"))
        faster = whole and ratio(whole["clock"], clock).text(2)
        smaller = None
        if whole and peaks[kind]:
            smaller = f"{peaks['whole'] / peaks[kind]:.1f}"
        name = _KINDS[kind]
        if kind == "chosen":
            name += f": {batch['chosen']}"
        return (
            name,
            Spread.of(clock).text(1, 1e3),
            Spread.of(core).text(1, 1e3),
            faster,
            f"{peaks[kind] / 2**20:,.0f}",
            smaller,
        )

    header = ["loss", "ms", "ms on cores", "whole / this"]
    header += ["MiB", "whole / this"]
    return "\n\n".join(
        [
            f"## N = {batch['images']:,}, repeats: {batch['repeats']}",
            markdown_table([row(kind) for kind in seconds], header),
        ]
    )
