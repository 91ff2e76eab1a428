"""What the suite measured -> figures, and Markdown."""

from benchmarks import words
from benchmarks.spread import Spread
from benchmarks.spread import ratio
from simclr_keras.evaluation import markdown_table

# Of all cores, which products of matrices use; less, and others did.
_QUIET = 0.9


def report(results):
    """All tables, of what `run` returns."""
    products = [_products(results)] if results["products"] else []
    return "\n\n".join([*products, *map(_network, results["networks"])])


def fractions(times, products, flops):
    """What part of the rate of matrix products a step reaches.

    Args:
        times: seconds per step, one for each repeat.
        products: seconds per operation of matrix products in the same repeats.
        flops: operations of a step.

    Returns:
        `Spread` of the quotients, taken repeat by repeat.
    """
    return ratio([flops * each for each in products], times)


def compared(precisions):
    """Quotients of times, repeat by repeat.

    Args:
        precisions: dict of precision -> dict of kind -> dict of `clock`,
            seconds per step.

    Returns:
        Dict of what is compared -> dict of precision -> `Spread`.
    """

    def of(above, below):
        return {
            precision: ratio(kinds[above]["clock"], kinds[below]["clock"])
            for precision, kinds in precisions.items()
            if above in kinds and below in kinds
        }

    def views(network, given):
        return {
            precision: Spread(1 - s.median, 1 - s.high, 1 - s.low)
            for precision, s in of(given, network).items()
        }

    figures = {
        "plain Keras / ours": of("plain", "ours"),
        "plain Keras / ours, views given to both": of(
            "plain, given views", "ours, given views"
        ),
        "our step's part that makes the views": views(
            "ours", "ours, given views"
        ),
        "ours / ours compiled by XLA": of("ours", "ours, XLA"),
        "plain Keras / plain Keras compiled by XLA": of("plain", "plain, XLA"),
    }
    if "float32" in precisions:
        first = precisions["float32"]
        for kind, name in (("ours", "ours"), ("plain", "plain Keras")):
            figures[f"{name}: float32 / this precision"] = {
                precision: ratio(first[kind]["clock"], kinds[kind]["clock"])
                for precision, kinds in precisions.items()
                if precision != "float32"
            }
    return {name: each for name, each in figures.items() if each}


def _products(results):
    rows = [
        (
            f"{precision}, {facts['size']:,}",
            facts["before"].text(1, 1e-9),
            facts["after"].text(1, 1e-9),
        )
        for precision, facts in results["products"].items()
    ]
    about = """
        GFLOP/s of products of square matrices of the size that goes fastest
        here: median (lowest-highest). The steps below are held against the
        products between them, not against these."""
    header = ["matrices", "before the suite", "after it"]
    return "\n\n".join(
        [
            "## Products of matrices",
            words.paragraph(about),
            markdown_table(rows, header),
        ]
    )


_KINDS = {
    "ours": "ours",
    "ours, given views": "ours, views given",
    "plain": "plain Keras, views by tf.data",
    "plain, given views": "plain Keras, views given",
    "ours, XLA": "ours, compiled by XLA",
    "plain, XLA": "plain Keras, compiled by XLA",
}


def _network(network):
    size, flops = network["image_size"], network["flops"]
    about = f"""
        Training step of {network["batch"]} images of {size} pixels, two views
        each: {flops / 1e9:,.1f} GFLOP in convolutions and products of
        matrices. Median (lowest-highest) of {network["repeats"]} repeats in
        turn, each the mean of {network["steps"]} steps; ratios are taken
        within a repeat. "Of the products": which part it is of the rate at
        which matrices of this precision were multiplied in the same repeat.
        Plain Keras: stock layers, the dense loss, SGD; its views are drawn
        image by image with tf.image in tf.data. Ours: LARS."""
    parts = [
        f"## {network['title']}, {size} px, batch {network['batch']}",
        words.paragraph(about),
        _steps(network),
        _comparisons(network),
        *_operations(network["operations"]),
    ]
    if not _quiet(network):
        parts.append(words.NOISY)
    return "\n\n".join(parts)


def _quiet(network):
    return all(
        Spread.of(kinds["products"]["busy"]).median >= _QUIET
        for kinds in network["precisions"].values()
    )


def _steps(network):
    peaks = network["peak_bytes"]
    on_gpu = any(p for kinds in peaks.values() for p in kinds.values())
    rows = []
    for precision, kinds in network["precisions"].items():
        products = kinds["products"]["clock"]
        for kind, times in kinds.items():
            if kind == "products":
                continue
            clock = times["clock"]
            rate = Spread.of([network["batch"] / each for each in clock])
            row = [
                precision,
                _KINDS[kind],
                Spread.of(clock).text(1, 1e3),
                f"{rate.median:,.1f}",
                fractions(clock, products, network["flops"]).text(2),
                Spread.of(times["busy"]).text(2),
            ]
            if on_gpu:
                row.append(f"{(peaks[precision][kind] or 0) / 2**20:,.0f}")
            rows.append(row)
    header = ["precision", "step", "ms", "images/s", "of the products"]
    header += ["cores busy", *(["GPU MiB"] if on_gpu else [])]
    return markdown_table(rows, header)


def _comparisons(network):
    precisions = network["precisions"]
    rows = []
    for name, spreads in compared(precisions).items():
        texts = [
            spreads[precision].text(2) if precision in spreads else None
            for precision in precisions
        ]
        rows.append([name, *texts])
    return markdown_table(rows, ["time", *precisions])


def _operations(spent):
    """Where the time of a step goes; nothing where no step was profiled."""
    if not spent:
        return []
    columns = [(p, k) for p, kinds in spent.items() for k in kinds]
    totals = {(p, k): sum(spent[p][k].values()) for p, k in columns}
    names = sorted(
        {name for p, k in columns for name in spent[p][k]},
        key=lambda name: -max(spent[p][k].get(name, 0.0) for p, k in columns),
    )
    rows = [
        [
            name,
            *(
                f"{1e3 * (part := spent[p][k].get(name, 0.0)):,.0f}"
                f" ({part / totals[p, k]:.0%})"
                for p, k in columns
            ),
        ]
        for name in names
    ]
    about = """
        Where a step's time goes, by TensorFlow's profiler: ms per step, and
        the part of their sum. Operations may run side by side, so the sum can
        be more than the step took; views are given."""
    header = [f"{p}, {_KINDS[k].split(',')[0]}" for p, k in columns]
    return [words.paragraph(about), markdown_table(rows, ["kind", *header])]
