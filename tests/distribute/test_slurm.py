"""What SLURM's variables say of the tasks of a job step."""

import pytest
import tensorflow as tf

from simclr_keras.distribute import slurm
from simclr_keras.distribute import strategy


def _step(rank, nodes, per_node, **others):
    """The variables of a task, as `srun` sets them."""
    counts = [int(part) for part in per_node.split(",")]
    return {
        "SLURM_JOB_ID": "812",
        "SLURM_STEP_ID": "0",
        "SLURM_PROCID": str(rank),
        "SLURM_STEP_NUM_TASKS": str(sum(counts)),
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": per_node,
        **others,
    }


@pytest.fixture
def environment(monkeypatch, no_cluster):
    """Function that makes variables those of the process."""

    def give(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give


@pytest.mark.parametrize(
    "text, hosts",
    [
        # The example of TensorFlow's own resolver.
        (
            "n[1-2],m5,o[3-4,6,7-9]",
            ["n1", "n2", "m5", "o3", "o4", "o6", "o7", "o8", "o9"],
        ),
        ("gpu-a[08-10]", ["gpu-a08", "gpu-a09", "gpu-a10"]),
        (
            "r[1-2]n[1,3].cluster",
            [f"r{r}n{n}.cluster" for r in (1, 2) for n in (1, 3)],
        ),
        ("localhost", ["localhost"]),
    ],
)
def test_lists_of_hosts(text, hosts):
    assert slurm.expand_hosts(text) == hosts


@pytest.mark.parametrize("text", ["", "n[1-2", "n]1[", "n[a-b]", "a,,b", "a,"])
def test_what_is_no_list_of_hosts(text):
    with pytest.raises(ValueError, match="is no list of hosts"):
        slurm.expand_hosts(text)


@pytest.mark.parametrize(
    "nodes, per_node", [("a1,b2", "2,1"), ("n[08-09]", "2,2"), ("one", "3")]
)
def test_as_the_resolver_of_tensorflow(environment, nodes, per_node):
    """Given a GPU for each task, and names that are sorted as text."""
    for rank in range(sum(map(int, per_node.split(",")))):
        environment(_step(rank, nodes, per_node))
        ours = slurm.read()
        theirs = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=int(ours.addresses[0].rpartition(":")[2]),
            gpus_per_node=3,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        assert theirs.cluster_spec().job_tasks("worker") == ours.addresses
        assert theirs.get_task_info() == ("worker", ours.rank)


def test_where_that_one_fails(environment):
    """Why it is not used: no GPUs, and hosts that are sorted as text."""
    environment(_step(1, "n[9-10]", "1,1"))
    resolver = tf.distribute.cluster_resolver.SlurmClusterResolver
    with pytest.raises(ValueError, match="must not be zero"):
        resolver(gpus_per_node=0, auto_set_gpu=False).cluster_spec()
    wrong = resolver(gpus_per_node=1, auto_set_gpu=False).cluster_spec()
    assert wrong.task_address("worker", 1).startswith("n9:")
    # SLURM numbers the tasks in the order of the list: rank 1 runs on n10.
    assert slurm.read().addresses[1].startswith("n10:")


@pytest.mark.parametrize(
    "distribution, hosts",
    [("block", "aab"), ("cyclic", "aba"), ("cyclic:block", "aba")],
)
def test_orders_of_the_tasks(distribution, hosts):
    """`man srun`, --distribution: filled node by node, or in turn."""
    tasks = slurm.read(_step(0, "a,b", "2,1", SLURM_DISTRIBUTION=distribution))
    assert [address[0] for address in tasks.addresses] == list(hosts)
    assert len(set(tasks.addresses)) == 3
    assert tasks.local == [rank for rank in range(3) if hosts[rank] == "a"]


def test_other_steps_have_other_ports():
    ports = [
        slurm.read(_step(0, "a", "2", SLURM_STEP_ID=step)).addresses
        for step in "01"
    ]
    assert not set(ports[0]) & set(ports[1])
    neighbour = _step(0, "a", "2", SLURM_JOB_ID="813", SLURM_STEP_ID="0")
    step_1 = _step(0, "a", "2", SLURM_JOB_ID="812", SLURM_STEP_ID="1")
    both = [set(slurm.read(each).addresses) for each in (neighbour, step_1)]
    assert not both[0] & both[1]
    assert all(
        1024 < int(address.rpartition(":")[2]) < 32768 for address in ports[0]
    )


@pytest.mark.parametrize(
    "change, why",
    [
        ({"SLURM_STEP_NODELIST": ""}, "one of them is missing"),
        ({"SLURM_STEP_NODELIST": "a"}, "contradict each other"),
        ({"SLURM_STEP_NODELIST": "a[1"}, "no list of hosts"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x"}, "tasks of each node"),
        ({"SLURM_PROCID": "3"}, "contradict each other"),
        ({"SLURM_DISTRIBUTION": "plane=2"}, "in blocks or cyclically"),
        ({"SLURM_NODEID": "1"}, "in blocks or cyclically"),
    ],
)
def test_what_cannot_be_told_is_refused(environment, change, why):
    """Instead of one training by each task."""
    environment({**_step(0, "a,b", "2,1"), **change})
    with pytest.raises(ValueError, match=why) as error:
        strategy.choose("auto")
    assert "SLURM_PROCID" in str(error.value)
    assert strategy.choose("single").name == "single"
    assert strategy.workers_here() == 1


def test_what_auto_takes(environment):
    environment(_step(2, "a,b", "2,1"))
    taken = strategy._automatic(None, 4, 0)
    assert taken == ("multi_worker", "SLURM has started 3 tasks")
    assert list(strategy.addresses()) == ["worker 0", "worker 1", "worker 2"]
    assert strategy.workers_here() == 1
    environment({"SLURM_PROCID": "1"})
    assert strategy.workers_here() == 2


def test_tf_config_comes_first(environment):
    environment(_step(1, "a,b", "1,1"))
    environment({"TF_CONFIG": '{"cluster": {"worker": ["h:1"]}}'})
    assert strategy._automatic(None, 0, 0)[0] == "single"


def test_one_task_is_one_device(environment):
    environment(_step(0, "a", "1"))
    assert strategy._automatic(None, 0, 0) == ("single", "one device")


def test_a_process_that_srun_has_not_started_says_so(environment):
    """In the script of `sbatch --ntasks=4` it is one process."""
    environment({"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"})
    choice = strategy.choose("auto")
    assert choice.name == "single"
    assert "not on the 4 tasks of the SLURM job, which `srun` starts" in str(
        choice
    )


@pytest.mark.parametrize(
    "count, rank, others, own",
    [
        (4, 0, {}, [0, 1]),
        (4, 1, {}, [2, 3]),
        (4, 2, {}, [0, 1, 2, 3]),  # alone on its node
        (4, 1, {"SLURM_GPUS_PER_TASK": "4"}, [0, 1, 2, 3]),
        (2, 1, {"SLURM_STEP_GPUS": "0,1,2,3"}, [0, 1]),
        (1, 1, {}, [0]),
        (0, 1, {}, []),
    ],
)
def test_gpus_of_a_task(count, rank, others, own):
    variables = _step(rank, "a,b", "2,1", **others)
    part = slurm.own_gpus(count, slurm.read(variables), variables)
    assert list(range(count))[part] == own


def test_gpus_that_do_not_divide():
    variables = _step(0, "a,b", "2,1")
    with pytest.raises(ValueError, match="3 GPUs .* Received: 2 tasks"):
        slurm.own_gpus(3, slurm.read(variables), variables)
