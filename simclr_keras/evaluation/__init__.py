from simclr_keras.evaluation.accuracy import mean_per_class_accuracy
from simclr_keras.evaluation.accuracy import top_k_accuracy
from simclr_keras.evaluation.average_precision import average_precision
from simclr_keras.evaluation.average_precision import label_figures
from simclr_keras.evaluation.average_precision import mean_average_precision
from simclr_keras.evaluation.confusion import class_figures
from simclr_keras.evaluation.confusion import confusion_matrix
from simclr_keras.evaluation.embedding_files import EmbeddingShards
from simclr_keras.evaluation.embedding_files import open_embeddings
from simclr_keras.evaluation.embeddings import Extractor
from simclr_keras.evaluation.embeddings import extract
from simclr_keras.evaluation.embeddings import extract_both
from simclr_keras.evaluation.features import standardize
from simclr_keras.evaluation.knn import KNNCallback
from simclr_keras.evaluation.knn import knn_accuracy
from simclr_keras.evaluation.knn import knn_predict
from simclr_keras.evaluation.layers import layer_features
from simclr_keras.evaluation.layers import projection_features
from simclr_keras.evaluation.linear_outputs import linear_predictions
from simclr_keras.evaluation.linear_outputs import linear_probabilities
from simclr_keras.evaluation.linear_probe import LinearAccuracy
from simclr_keras.evaluation.linear_probe import linear_accuracy
from simclr_keras.evaluation.logistic_regression import L2_VALUES
from simclr_keras.evaluation.logistic_regression import L2Score
from simclr_keras.evaluation.logistic_regression import LogisticRegressionResult
from simclr_keras.evaluation.logistic_regression import logistic_regression
from simclr_keras.evaluation.markdown import markdown_table
from simclr_keras.evaluation.markdown import percent
from simclr_keras.evaluation.mlp import mlp_accuracy
from simclr_keras.evaluation.neighbors import nearest
from simclr_keras.evaluation.pixel_baseline import pixel_features
from simclr_keras.evaluation.plane import to_plane
from simclr_keras.evaluation.regression import regression_figures
from simclr_keras.evaluation.representation import RepresentationQuality
from simclr_keras.evaluation.representation import representation_quality
from simclr_keras.evaluation.rows_file import RowsFile
from simclr_keras.evaluation.transformed_images import transformed_images

__all__ = [
    "L2_VALUES",
    "EmbeddingShards",
    "Extractor",
    "KNNCallback",
    "L2Score",
    "LinearAccuracy",
    "LogisticRegressionResult",
    "RepresentationQuality",
    "RowsFile",
    "average_precision",
    "extract",
    "extract_both",
    "class_figures",
    "confusion_matrix",
    "knn_accuracy",
    "knn_predict",
    "label_figures",
    "layer_features",
    "linear_accuracy",
    "linear_predictions",
    "linear_probabilities",
    "logistic_regression",
    "markdown_table",
    "mean_average_precision",
    "mean_per_class_accuracy",
    "mlp_accuracy",
    "nearest",
    "open_embeddings",
    "percent",
    "pixel_features",
    "projection_features",
    "regression_figures",
    "representation_quality",
    "standardize",
    "to_plane",
    "top_k_accuracy",
    "transformed_images",
]
