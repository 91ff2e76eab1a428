"""Private names of Keras and TensorFlow: which are used, and do they work.

A private name may change in any release of them. Each one in use is listed
here, with what it is used for, and tried in a few milliseconds, so that a new
release says what it broke.
"""

import ast
import contextlib
import inspect
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras
from simclr_keras import compat
from simclr_keras.optimizers import LARS

PACKAGE = pathlib.Path(simclr_keras.__file__).parent
# Name -> what needs it.
KERAS_3_NAMES = {
    "_flatten_layers": "compat.flatten_layers: freezing, decay, precision",
    "_maybe_symbolic_build": "compat.BuildsItself: fit on several replicas",
    "_compile_metrics": "compat.build_metrics: Classifier's metrics",
    "_initial_epoch": "compat.set_resume_point: resuming a training",
    "_cardinality": "compat.distributed: fit on several processes",
    "_get_variable_index": "optimizers.LARS: the momentum of a variable",
    "_iterations": "compat.batches_seen: views with gradient accumulation",
}
# Of Keras 2.15 and tensorflow-addons 0.23, which change no more.
OLDER_NAMES = {
    "_built": "compat.is_built and compat.Optimizer",
    "_update_step": "compat.Optimizer: hands the learning rate to LARS",
    "_build_learning_rate": "compat.Optimizer: LARS's learning rate",
    "_serialize_hyperparameter": "compat.Optimizer: LARS's get_config",
    "_index_dict": "compat.Optimizer: the momentum of a variable",
    "_var_key": "compat.Optimizer: the momentum of a variable",
    "_learning_rate": "compat.learning_rate and settable_learning_rate",
    "_loss_scale": "compat.optimizer_variables: checkpoints of float16",
    "_trainable_weights": "compat.weights_of: the order in checkpoints",
    "_non_trainable_weights": "compat.weights_of: the order in checkpoints",
    "_maybe_load_initial_counters_from_ckpt": "compat.set_resume_point",
    "__internal__": "compat.unrepeatable_layers: finds dropout",
    "_create_all_weights": "compat.build_optimizer: LAMB",
    "_do_use_weight_decay": "compat.lamb_bases: which variables LAMB decays",
}
TENSORFLOW_NAMES = {
    "core": "serving.official: the names of variables in a checkpoint",
}
NAMES = {**KERAS_3_NAMES, **OLDER_NAMES, **TENSORFLOW_NAMES}
# Private names of this package that one module uses of another.
OURS = {"_crops"}

keras_3_only = pytest.mark.skipif(not compat.KERAS_3, reason="of Keras 3")
keras_2_only = pytest.mark.skipif(compat.KERAS_3, reason="of Keras 2.15")


@contextlib.contextmanager
def canary(*names):
    """Fails with the names and with what needs them."""
    try:
        yield
    except Exception as error:
        uses = "; ".join(f"{name} ({NAMES[name]})" for name in names)
        pytest.fail(
            f"Keras {keras.__version__} or TensorFlow {tf.__version__} has"
            f" changed a private name that is used: {uses}. {error!r}"
        )


def names_in(tree):
    """Private names that some code reads of objects or defines itself."""
    used, own = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            own.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = getattr(node, "targets", None) or [node.target]
            own |= {t.id for t in targets if isinstance(t, ast.Name)}
        elif isinstance(node, ast.Attribute):
            to_self = ast.unparse(node.value) == "self"
            stored = isinstance(node.ctx, ast.Store) and to_self
            (own if stored else used).add(node.attr)
        elif isinstance(node, ast.Call) and "attr" in ast.unparse(node.func):
            texts = [x for x in node.args if isinstance(x, ast.Constant)]
            used |= {x.value for x in texts if isinstance(x.value, str)}
    return used, own


def modules_in(tree):
    """Parts of the names of all modules that some code imports."""
    parts = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names]
            module = getattr(node, "module", None) or ""
            if module.startswith("array_record."):  # its way in is `.python`
                continue
            names.append(module)
            parts |= {part for name in names for part in name.split(".")}
    return parts


def methods_in(tree):
    """Names of the methods that the classes of some code define."""
    classes = [x for x in ast.walk(tree) if isinstance(x, ast.ClassDef)]
    return {
        node.name
        for each in classes
        for node in ast.walk(each)
        if isinstance(node, ast.FunctionDef)
    }


def test_no_other_private_name_is_used():
    """A new one needs a reason beside it, a line above and a canary below."""
    private = set()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        uses, own = names_in(tree)
        if PACKAGE / "compat" in path.parents:
            # What shims override, or store on themselves, is Keras's.
            top = {getattr(node, "name", None) for node in tree.body}
            for node in tree.body:
                for target in getattr(node, "targets", ()):
                    top.add(getattr(target, "id", None))
            uses, own = uses | own | methods_in(tree), top
        private |= {n for n in uses - own if n[:1] == "_" and n[:2] != "__"}
        private |= uses & {"__internal__"}
        private |= modules_in(tree) & {"core", "python", "src"}
    assert private == set(NAMES) | OURS


def test_every_name_has_a_canary():
    tree = ast.parse(pathlib.Path(__file__).read_text(encoding="utf-8"))
    calls = [x for x in ast.walk(tree) if isinstance(x, ast.Call)]
    tried = {
        name.value
        for call in calls
        if ast.unparse(call.func) == "canary"
        for name in call.args
    }
    assert tried == set(NAMES)


def test_checkpoints_of_tensorflow_name_their_variables():
    with canary("core"):
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.nodes.add().attributes.add().full_name = "conv/kernel"
        copy = type(graph).FromString(graph.SerializeToString())
        assert copy.nodes[0].attributes[0].full_name == "conv/kernel"


@keras_3_only
def test_accumulated_batches_are_counted():
    with canary("_iterations"):
        optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
        variable = keras.Variable([1.0])
        for number in range(1, 4):
            optimizer.apply([tf.ones([1])], [variable])
            assert int(compat.batches_seen(optimizer)) == number
        assert int(optimizer.iterations) == 1


def nested_model():
    class Block(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(2, name="inner")

        def call(self, inputs):
            return self.dense(inputs)

    model = keras.Sequential([keras.Input([3]), Block()])
    model.compile("sgd", "mse", metrics=["mae"], jit_compile=False)
    return model


def test_layers_within_layers_are_found():
    model = nested_model()
    with canary("_flatten_layers"):
        names = [layer.name for layer in compat.flatten_layers(model)]
        assert names[0] == model.name
        assert "inner" in names
        without = compat.flatten_layers(model, include_self=False)
        assert [layer.name for layer in without] == names[1:]


@keras_3_only
def test_fit_asks_the_model_to_build_itself():
    with canary("_maybe_symbolic_build"):
        hook = inspect.signature(keras.Model._maybe_symbolic_build)
        assert {"iterator", "data_batch"} <= {*hook.parameters}
        for method in (keras.Model.fit, keras.Model.evaluate):
            source = inspect.getsource(inspect.unwrap(method))
            assert "_maybe_symbolic_build(" in source


def test_metrics_are_built_without_a_step():
    model = nested_model()
    with canary("_compile_metrics"):
        compat.build_metrics(model, tf.zeros([1, 2]), tf.zeros([1, 2]))
        variables = [v for metric in model.metrics for v in metric.variables]
        assert len(variables) >= 4  # total and count of the loss and of mae


class Resume(keras.callbacks.Callback):
    """Resumes at the last of four epochs."""

    def __init__(self):
        super().__init__()
        self.begun = []

    def on_train_begin(self, logs=None):
        compat.set_resume_point(self.model, 3, 0)

    def on_epoch_begin(self, epoch, logs=None):
        self.begun.append(epoch)


def test_a_training_that_has_started_can_begin_later():
    model, resume = nested_model(), Resume()
    x, y = np.zeros([2, 3], np.float32), np.zeros([2, 2], np.float32)
    with canary("_initial_epoch", "_maybe_load_initial_counters_from_ckpt"):
        model.fit(x, y, epochs=4, callbacks=[resume], verbose=0)
        assert resume.begun == [3]


def test_a_distributed_data_set_can_be_told_its_length():
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])

    def batches(context):
        return tf.data.Dataset.range(4).repeat()

    with canary("_cardinality"):
        dataset = compat.distributed(strategy, batches, 7)
        assert int(dataset._cardinality) == 7
        if compat.KERAS_3:  # reads it by the public name
            assert int(dataset.cardinality) == 7


def test_an_optimizer_knows_the_index_of_a_variable():
    variables = [tf.Variable(tf.ones([2, 2])), tf.Variable(tf.ones([3, 3]))]
    with canary("_get_variable_index", "_index_dict", "_var_key"):
        optimizer = LARS(0.1)
        optimizer.build(variables)
        found = [optimizer._get_variable_index(v) for v in variables]
        assert found == [0, 1]


@keras_2_only
def test_the_older_optimizer_has_the_interface_of_keras_3():
    variable = tf.Variable(tf.ones([2, 2]))
    with canary(
        "_built",
        "_update_step",
        "_build_learning_rate",
        "_serialize_hyperparameter",
        "_learning_rate",
    ):
        optimizer = LARS(0.5)
        assert not optimizer.built
        optimizer.apply_gradients([(tf.ones([2, 2]), variable)])
        assert optimizer.built
        assert optimizer.get_config()["learning_rate"] == 0.5
        assert compat.learning_rate(optimizer) == 0.5
        assert compat.settable_learning_rate(optimizer) == 0.5


@keras_2_only
def test_the_loss_scale_is_found():
    with canary("_loss_scale"):
        inner = keras.optimizers.SGD(0.1)
        optimizer = keras.mixed_precision.LossScaleOptimizer(inner)
        alone = len(compat.optimizer_variables(inner))
        assert len(compat.optimizer_variables(optimizer)) == alone + 2


@keras_2_only
def test_weights_keep_their_order_when_frozen():
    model = nested_model()
    with canary("_trainable_weights", "_non_trainable_weights"):
        before = [id(v) for v in compat.weights_of(model)]
        model.layers[0].trainable = False
        assert [id(v) for v in compat.weights_of(model)] == before
        assert len(before) == 2


@keras_2_only
def test_dropout_is_found():
    with canary("__internal__"):
        dropout = keras.layers.Dropout(0.5)
        model = keras.Sequential([keras.Input([3]), dropout])
        assert compat.unrepeatable_layers(model) == [dropout]


@keras_2_only
def test_lamb_of_addons_can_be_built_and_asked():
    pytest.importorskip("tensorflow_addons")
    from simclr_keras.optimizers.lamb import Lamb

    matrix, vector = tf.Variable(tf.ones([2, 2])), tf.Variable(tf.ones([2]))
    with canary("_create_all_weights", "_do_use_weight_decay"):
        optimizer = Lamb(0.1, weight_decay=0.1)
        compat.build_optimizer(optimizer, [matrix, vector])
        # The iterations, and two moments of each variable.
        assert len(compat.optimizer_variables(optimizer)) == 5
        zeros = [tf.zeros_like(matrix), tf.zeros_like(vector)]
        optimizer.apply_gradients(zip(zeros, [matrix, vector]))
        assert float(matrix[0, 0]) < 1
        assert float(vector[0]) == 1
