"""The name of a distribution strategy -> the strategy, and why it was taken."""

import dataclasses
import json
import os

import tensorflow as tf

STRATEGIES = ("auto", "single", "mirrored", "multi_worker", "tpu")


@dataclasses.dataclass(frozen=True)
class Choice:
    """A strategy to train under.

    Attributes:
        strategy: `tf.distribute.Strategy`; build and compile models in its
            `scope()`.
        name: one of `STRATEGIES` but `"auto"`.
        why: what decided, in words.
    """

    strategy: tf.distribute.Strategy
    name: str
    why: str

    @property
    def replicas(self):
        """Number of replicas."""
        return self.strategy.num_replicas_in_sync

    @property
    def chief(self):
        """Whether this process writes what the run leaves."""
        return is_chief(self.strategy)

    def __str__(self):
        kind = _device_kind(self.name)
        if self.name == "single":
            what = f"1 {kind}"
        elif self.name == "multi_worker":
            workers = len(_cluster().get("worker", ())) + bool(
                _cluster().get("chief")
            )
            what = f"{workers} workers, {self.replicas} {kind} replicas"
        else:
            what = f"{self.replicas} {kind} replicas"
        return f"{what} ({self.name}: {self.why})"


def choose(
    name="auto",
    *,
    tpu_name=None,
    tpu_zone=None,
    gcp_project=None,
    logical_cpus=0,
):
    """Makes a strategy; before anything else uses TensorFlow.

    Args:
        name: `"single"`: one device; `"mirrored"`: all GPUs of this machine,
            or its logical CPUs; `"multi_worker"`: the processes of
            `TF_CONFIG`; `"tpu"`. `"auto"` (default): a TPU where one is
            configured, by `tpu_name` or the environment's `TPU_NAME`; else
            the workers of `TF_CONFIG`; else several GPUs; else one device.
        tpu_name: name or address of the TPU; `"local"` on a TPU VM. Default:
            `TPU_NAME`.
        tpu_zone: its Google Cloud zone. Default: where this machine is.
        gcp_project: its Google Cloud project. Default: this machine's.
        logical_cpus: split the CPU into so many devices, to try replicas
            without GPUs. Default 0: do not.

    Returns:
        `Choice`.

    Raises:
        ValueError: an unknown name, or something that this machine, the
            environment or another argument does not allow.

    Example:
        >>> choice = choose("mirrored", logical_cpus=2)
        >>> with choice.strategy.scope():
        ...     model = SimCLR(...)
        ...     model.compile(...)
    """
    if name not in STRATEGIES:
        raise ValueError(
            f"strategy must be one of {', '.join(STRATEGIES)}. Received:"
            f" {name!r}"
        )
    tpu_name = tpu_name or os.environ.get("TPU_NAME")
    gpus = len(tf.config.list_physical_devices("GPU"))
    why = "as asked for"
    if name == "auto":
        name, why = _automatic(tpu_name, gpus, logical_cpus)
    if logical_cpus:
        _split_cpu(name, logical_cpus)
    if name == "tpu":
        strategy = _tpu(tpu_name, tpu_zone, gcp_project)
    elif name == "multi_worker":
        _check_cluster()
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif name == "mirrored":
        kind, count = ("CPU", logical_cpus) if logical_cpus else ("GPU", gpus)
        if not count:
            raise ValueError(
                "strategy mirrored needs GPUs, or logical_cpus to try it"
                " without. Received: a machine without GPUs, logical_cpus=0"
            )
        devices = [f"{kind}:{number}" for number in range(count)]
        strategy = tf.distribute.MirroredStrategy(devices)
    else:
        strategy = tf.distribute.get_strategy()
    return Choice(strategy, name, why)


def is_chief(strategy):
    """Whether this process is the one that writes: one in every strategy."""
    return strategy.extended.should_checkpoint


def _automatic(tpu_name, gpus, logical_cpus):
    if logical_cpus > 1:
        return "mirrored", f"{logical_cpus} logical CPUs"
    if tpu_name:
        return "tpu", f"TPU {tpu_name} is configured"
    workers = sum(len(tasks) for tasks in _cluster().values())
    if workers > 1:
        return "multi_worker", f"TF_CONFIG names {workers} workers"
    if gpus > 1:
        return "mirrored", f"{gpus} GPUs"
    return "single", "one device"


def _device_kind(name):
    if name == "tpu":
        return "TPU"
    if name == "mirrored" and len(tf.config.list_logical_devices("CPU")) > 1:
        return "CPU"
    return "GPU" if tf.config.list_logical_devices("GPU") else "CPU"


def _split_cpu(name, count):
    if name not in ("mirrored", "single"):
        raise ValueError(
            f"logical_cpus goes with the strategy mirrored. Received: {name}"
            f" with logical_cpus={count}"
        )
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) == count:
            return
        raise ValueError(
            "logical_cpus must be set before TensorFlow is used in a process."
            f" Received: logical_cpus={count}, and {error}"
        ) from error


def _tpu(name, zone, project):
    if not name:
        raise ValueError(
            "strategy tpu needs tpu_name, or TPU_NAME in the environment; on a"
            " TPU VM it is 'local'. Received: neither"
        )
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
        tpu=name, zone=zone, project=project
    )
    tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return tf.distribute.TPUStrategy(resolver)


def _config():
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ValueError(
            f"TF_CONFIG must be JSON ({error}). Received: {text!r}"
        ) from error
    return config if isinstance(config, dict) else {}


def _cluster():
    """Job -> addresses of its tasks, of the workers that train."""
    cluster = _config().get("cluster", {})
    return {job: cluster[job] for job in ("chief", "worker") if job in cluster}


def addresses():
    """`{"worker 0": "host:port", ...}` of the cluster of `TF_CONFIG`."""
    return {
        f"{job} {number}": address
        for job, tasks in _cluster().items()
        for number, address in enumerate(tasks)
    }


def workers_here():
    """Number of workers of `TF_CONFIG` on this machine; 1 without it."""
    own = addresses().get("{type} {index}".format(**_task()))
    if own is None:
        return 1
    host = own.rpartition(":")[0]
    return sum(a.rpartition(":")[0] == host for a in addresses().values())


def _task():
    return {"type": None, "index": None, **_config().get("task", {})}


def _check_cluster():
    cluster, task = _cluster(), _config().get("task", {})
    job, number = task.get("type"), task.get("index")
    known = job in cluster and number in range(len(cluster[job]))
    if not known:
        raise ValueError(
            "strategy multi_worker needs TF_CONFIG in the environment of each"
            ' process: {"cluster": {"worker": ["host:port", ...]}, "task":'
            ' {"type": "worker", "index": 0}}; tools/launch_local sets it on'
            f" one machine. Received: {os.environ.get('TF_CONFIG')!r}"
        )
