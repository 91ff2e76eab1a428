"""Chooses the distribution strategy of a training and says why."""

from __future__ import annotations

import dataclasses
import os

import tensorflow as tf

from simclr_keras.choices import STRATEGIES
from simclr_keras.distribute import slurm
from simclr_keras.distribute import workers


@dataclasses.dataclass(frozen=True)
class Devices:
    """The devices of a training, and the strategy that uses them.

    Attributes:
        strategy: `tf.distribute.Strategy`; build and compile models in its
            `scope()`.
        name: one of `STRATEGIES`, not `"auto"`.
        why: the reason for the choice, in words.
    """

    strategy: tf.distribute.Strategy
    name: str
    why: str

    @property
    def replicas(self) -> int:
        """Number of replicas."""
        return self.strategy.num_replicas_in_sync

    @property
    def chief(self) -> bool:
        """Whether this process writes the files of the run."""
        return workers.is_chief(self.strategy)

    def __str__(self):
        kind = _device_kind(self.name)
        if self.name == "single":
            what = f"1 {kind}"
        elif self.name == "multi_worker":
            what = (
                f"{len(addresses())} workers, {self.replicas} {kind} replicas"
            )
        else:
            what = f"{self.replicas} {kind} replicas"
        return f"{what} ({self.name}: {self.why})"


def choose(
    name: str = "auto",
    *,
    tpu_name: str | None = None,
    tpu_zone: str | None = None,
    gcp_project: str | None = None,
    logical_cpus: int = 0,
) -> Devices:
    """Makes a strategy; call this before anything else uses TensorFlow.

    Args:
        name: `"single"`: one device; `"mirrored"`: all GPUs of this machine,
            or its logical CPUs; `"multi_worker"`: the processes of
            `TF_CONFIG`, else the tasks of a SLURM job step; `"tpu"`. `"auto"`
            (default) takes the first of these that there is: several logical
            CPUs; a TPU, configured by `tpu_name` or the environment's
            `TPU_NAME`; several of these processes or tasks; several GPUs; one
            device.
        tpu_name: name or address of the TPU; `"local"` on a TPU VM. Default:
            `TPU_NAME`.
        tpu_zone: the TPU's Google Cloud zone. Default: that of this machine.
        gcp_project: the TPU's Google Cloud project. Default: this machine's.
        logical_cpus: number of devices to split the CPU into, to try replicas
            without GPUs. Default 0: the CPU is not split.

    Returns:
        `Devices`.

    Raises:
        ValueError: an unknown name, or something that this machine, the
            environment or another argument does not allow.

    Example:
        >>> devices = choose("mirrored", logical_cpus=2)
        >>> with devices.strategy.scope():
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
        strategy = tf.distribute.MultiWorkerMirroredStrategy(_checked_cluster())
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
    return Devices(strategy, name, why)


def _automatic(tpu_name, gpus, logical_cpus):
    if logical_cpus > 1:
        return "mirrored", f"{logical_cpus} logical CPUs"
    if tpu_name:
        return "tpu", f"TPU {tpu_name} is configured"
    count = len(addresses())
    if count > 1 and os.environ.get("TF_CONFIG"):
        return "multi_worker", f"TF_CONFIG names {count} workers"
    if count > 1:
        return "multi_worker", f"SLURM has started {count} tasks"
    why, tasks = "", slurm.alone_in_job()
    if tasks and not os.environ.get("TF_CONFIG"):
        why = (
            f", not on the {tasks} tasks of the SLURM job, which `srun` starts"
        )
    if gpus > 1:
        return "mirrored", f"{gpus} GPUs{why}"
    return "single", f"one device{why}"


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


def only_cpus() -> bool:
    """Whether TensorFlow sees no accelerator.

    Accelerators are fastest with few, large operations, CPUs with operations
    whose tensors stay in the cache.
    """
    kinds = {device.device_type for device in tf.config.list_logical_devices()}
    return kinds == {"CPU"}


def gains_from_xla() -> bool:
    """Whether XLA should compile the training step: on one GPU.

    Called in the scope of the strategy. Under several replicas XLA cannot
    compile the step, and a TPU's strategy compiles it by itself; on CPUs XLA
    slows convolutions.
    """
    one = tf.distribute.get_strategy().num_replicas_in_sync == 1
    return one and bool(tf.config.list_logical_devices("GPU"))


def addresses() -> dict[str, str]:
    """Addresses of the processes that train together.

    Returns:
        Dict such as `{"worker 0": "host:port", ...}`; empty without `TF_CONFIG`
        and without a SLURM step of several tasks.

    Raises:
        ValueError: `TF_CONFIG` or SLURM's variables are not valid.
    """
    resolver = _cluster_resolver()
    return {} if resolver is None else workers.addresses_of(resolver)


def workers_here() -> int:
    """Number of processes on this machine that train together, at least 1."""
    try:
        resolver = _cluster_resolver()
    except ValueError:  # bad settings of a cluster that the run does not use
        return 1
    if resolver is None:
        return 1
    known = workers.addresses_of(resolver)
    own = known.get(workers.name_of(resolver))
    if not own:
        return 1
    host = own.rpartition(":")[0]
    return sum(a.rpartition(":")[0] == host for a in known.values())


def _cluster_resolver():
    """`ClusterResolver` of `TF_CONFIG`, else of the SLURM step, else None."""
    resolvers = tf.distribute.cluster_resolver
    text = os.environ.get("TF_CONFIG")
    if text:
        resolver = resolvers.TFConfigClusterResolver()
        try:
            resolver.cluster_spec()
        except (ValueError, AttributeError, TypeError) as error:
            raise ValueError(
                "TF_CONFIG must be JSON of a cluster and a task of it"
                f" ({error}). Received: {text!r}"
            ) from error
        return resolver
    tasks = slurm.read()
    if tasks is None:
        return None
    gpus = tf.config.list_physical_devices("GPU")
    gpus = gpus[slurm.own_gpus(len(gpus), tasks)]
    return resolvers.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": tasks.addresses}),
        task_type="worker",
        task_id=tasks.rank,
        num_accelerators={"GPU": len(gpus)},
        rpc_layer="grpc",
    )


def _checked_cluster():
    """`ClusterResolver` of this process's cluster; hides other tasks' GPUs."""
    resolver = _cluster_resolver()
    if resolver is None or (
        workers.name_of(resolver) not in workers.addresses_of(resolver)
    ):
        raise ValueError(
            "strategy multi_worker needs TF_CONFIG in the environment of each"
            ' process: {"cluster": {"worker": ["host:port", ...]}, "task":'
            ' {"type": "worker", "index": 0}}; tools/launch_local sets it on'
            " one machine, and tasks that SLURM's srun starts need none."
            f" Received: {os.environ.get('TF_CONFIG')!r}"
        )
    if not os.environ.get("TF_CONFIG"):
        gpus = tf.config.list_physical_devices("GPU")
        own = slurm.own_gpus(len(gpus), slurm.read())
        if gpus[own] != gpus:
            tf.config.set_visible_devices(gpus[own], "GPU")
    return resolver
