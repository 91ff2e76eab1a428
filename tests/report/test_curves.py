"""Which curves a page has."""

import pytest

from simclr_keras.report import curves

pytestmark = pytest.mark.newest


def test_pre_training_and_classifier_have_their_own_charts():
    kind = curves.kind_of([{"loss": 2.0}, {"accuracy": 0.5}])
    assert kind == curves.CLASSIFIER
    assert dict(curves.charts_of_run(kind, False)) == {
        "Training loss": ["loss"],
        "Training accuracy": ["accuracy"],
        "Area under precision and recall": ["auc_pr"],
        "Training RMSE": ["rmse"],
        "Learning rate": ["learning_rate"],
    }
    assert not curves.charts_of_run(kind, True)
    kind = curves.kind_of([{"loss": 2.0, "contrastive_accuracy": 0.5}])
    assert kind == curves.PRETRAINING
    charts = dict(curves.charts_of_run(kind, False))
    assert charts["Contrastive loss"] == ["loss", "val_loss"]
    assert "Training accuracy" not in charts
