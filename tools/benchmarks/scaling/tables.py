"""The figures of the suite as Markdown."""

import dataclasses

from benchmarks import words
from benchmarks.scaling import estimate
from benchmarks.scaling import figures
from benchmarks.spread import Spread
from simclr_keras.evaluation import markdown_table

_KINDS = {
    "one": "one process, alone",
    "independent": "two independent processes",
    "joined": "two workers of one training",
    "local_bn": "the same, batch norm per replica",
}


def report(results):
    """All tables, of what `run` returns."""
    parts = [_network(network) for network in results["networks"]]
    return "\n\n".join(
        [*parts, _curve(results["all_reduce"]), _estimates(results)]
    )


def _network(network):
    figure = network["figures"]
    about = f"""
        Training step of {network["parameters"]:,} parameters in ms, views
        included: median (lowest-highest) of {network["repeats"]} repeats in
        turn, each the mean of {network["steps"]} steps; ratios are taken
        within a repeat. What is not on the core is waiting."""
    parts = [
        f"## {network['name']}, {network['batch']} images per replica",
        words.paragraph(about),
        _steps(figure),
        "What a step exchanges, each part timed by itself:",
        _exchange(network),
    ]
    if not figure["quiet"]:
        parts.append(words.NOISY)
    return "\n\n".join(parts)


def _steps(figure):
    def ratio(against, kind):
        spread = figure[against].get(kind)
        return spread and spread.text(3)

    rows = [
        (
            title,
            figure["step_seconds"][kind].text(1, 1e3),
            figure["core_seconds"][kind].text(1, 1e3),
            ratio("against_one", kind),
            ratio("against_independent", kind),
        )
        for kind, title in _KINDS.items()
    ]
    header = ["step", "ms", "on the core", "one / this", "independent / this"]
    return markdown_table(rows, header)


def _exchange(network):
    figure, traffic = network["figures"], network["exchange"]
    step = figure["step_seconds"]
    whole = step["joined"].median

    def row(name, seconds, count=None, size=None):
        sent = None if size is None else f"{size / 1e3:,.1f}"
        share = f"{100 * seconds.median / whole:.1f} %"
        return name, count, sent, seconds.text(2, 1e3), share

    parts = figure["exchange_seconds"]
    rows = [
        row(name, parts[name], part["collectives"], part["bytes"])
        for name, part in traffic.items()
    ]
    rows.append(
        row(
            "sum of these",
            _sum(parts.values()),
            sum(part["collectives"] for part in traffic.values()),
            sum(part["bytes"] for part in traffic.values()),
        )
    )
    for name, above, below in (
        ("joined minus independent", "joined", "independent"),
        ("joined minus batch norm per replica", "joined", "local_bn"),
    ):
        clock = network["clock"]
        pairs = zip(clock[above], clock[below])
        rows.append(row(name, Spread.of([a - b for a, b in pairs])))
    header = ["part", "collectives", "kB sent", "ms", "of the step"]
    return markdown_table(rows, header)


def _sum(spreads):
    spreads = list(spreads)
    names = ("median", "low", "high")
    return Spread(*(sum(getattr(s, n) for s in spreads) for n in names))


def _curve(curve):
    rows = []
    for point in curve:
        seconds = Spread.of(point["seconds"])
        rows.append(
            (
                f"{point['bytes'] // 1024:,}",
                seconds.text(3, 1e3),
                f"{point['bytes'] / seconds.median / 1e6:,.0f}",
            )
        )
    link = figures.link(curve)
    about = f"""
        Any takes {1e3 * link["collective_seconds"]:.2f} ms; the largest went
        at {link["bytes_per_second"] / 1e6:,.0f} MB/s."""
    return "\n\n".join(
        [
            "## All-reduce of two workers over loopback",
            markdown_table(rows, ["KiB", "ms", "MB/s sent by each"]),
            words.paragraph(about),
        ]
    )


def _estimates(results):
    counts = estimate.Counts(**results["resnet50"])
    seconds = figures.link(results["all_reduce"])["collective_seconds"]
    software = dataclasses.replace(
        estimate.LINKS[0],
        name=f"10 Gbit/s, {1e3 * seconds:.2f} ms a collective",
        collective_seconds=seconds,
    )
    links = [*estimate.LINKS, software]
    rows = [
        _estimate_row(counts, link, devices)
        for link in links
        for devices in estimate.DEVICES
    ]
    header = ["link", "latency us", "devices", *_PARTS, "step", "efficiency"]
    header += ["binds", "step, tree"]
    flops = counts.forward_flops / 1e9
    rate = estimate.FLOPS_PER_SECOND / 1e12
    about = f"""
        Milliseconds of a step of {estimate.BATCH} images of
        {estimate.IMAGE_SIZE} pixels, by a model: {flops:.2f} GFLOP per image
        and view forward, three times that with the way back, at an assumed
        {rate:.0f} TFLOP/s per device; {counts.parameters / 1e6:.1f} M float32
        gradients; {counts.norm_layers} batch norms of
        {counts.norm_channels:,} channels in all, two collectives each; z of
        {counts.z_dim}. An all-reduce of b bytes takes 2 (n - 1) latencies and
        2 (n - 1) / n b / bandwidth, as in a ring; "step, tree" has the
        2 log2(n) latencies of a tree instead. The last link adds to each
        collective what it takes here between two processes on one core each.
        Nothing overlaps, though in practice the gradients' exchange does."""
    return "\n\n".join(
        [
            "## Estimate for ResNet-50, not measured",
            words.paragraph(about),
            markdown_table(rows, header),
        ]
    )


_PARTS = ("compute", "gradients", "z", "batch norm")


def _estimate_row(counts, link, devices):
    ring = estimate.of_many_devices(counts, devices, link)
    tree = estimate.of_many_devices(
        counts, devices, link, estimate.tree_messages
    )
    return (
        link.name,
        f"{1e6 * link.latency_seconds:.0f}",
        devices,
        *(1e3 * ring.parts[part] for part in _PARTS),
        1e3 * ring.seconds,
        f"{100 * ring.efficiency:.0f} %",
        ring.binds,
        1e3 * tree.seconds,
    )
