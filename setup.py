"""Packaging of simclr_keras: what it imports, and its console commands."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent
COMMANDS = (
    "pretrain",
    "linear_eval",
    "finetune",
    "embed",
    "export",
    "report",
)

setuptools.setup(
    name="simclr_keras",
    version="0.1.0",
    description="SimCLR for Keras and TensorFlow: pretrain on unlabelled"
    " images, evaluate, fine-tune on few labels, export",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=setuptools.find_packages(include=["simclr_keras*"]),
    package_data={"simclr_keras.report": ["page.html"]},
    python_requires=">=3.9",
    # The lower bounds are the versions that the tf215 lane is tested with.
    install_requires=[
        "absl-py>=1.4",
        "etils[epath]>=1.5",
        "h5py>=3.10",
        "importlib_resources>=6.1",  # tensorflow-datasets uses it undeclared
        "jinja2>=3.1.2",
        "keras>=2.15",
        "matplotlib>=3.8.4",
        "numpy>=1.26",
        "pillow>=10.1",
        "scikit-learn>=1.3.2",
        "tensorboard>=2.15",
        "tensorflow>=2.15.1",
        "tensorflow-datasets>=4.9.4",
        "threadpoolctl>=3.2",
    ],
    extras_require={
        "keras-cv": ["keras-cv>=0.9"],
        "onnx": ["tf2onnx>=1.16"],
        "search": ["faiss-cpu>=1.8", "umap-learn>=0.5.5"],
        "test": [
            "faiss-cpu>=1.8",
            "keras-cv>=0.9",
            "onnxruntime>=1.19",
            "openvino>=2026.4; python_version >= '3.10'",
            "pytest>=8",
            "pytest-xdist>=3.7",
            "ruff==0.17.6",
            "tf2onnx>=1.16",
        ],
        # The last TensorFlow on which tensorflow-addons imports.
        "tf215": [
            "absl-py==1.4.0",
            "h5py==3.10.0",
            "importlib_resources==6.1.3",
            "jinja2==3.1.2",
            "keras==2.15.0",
            "keras-cv==0.9.0",
            "matplotlib==3.8.4",
            "numpy==1.26.4",
            "onnx<1.17",  # later ones need a newer ml_dtypes and do not say so
            "pillow==10.1.0",
            "scikit-learn==1.3.2",
            "tensorboard==2.15.2",
            "tensorflow==2.15.1",
            "tensorflow-addons==0.23.0",
            "tensorflow-datasets==4.9.10; python_version >= '3.10'",
            "tensorflow-datasets==4.9.4; python_version < '3.10'",
            "tensorflow-metadata<1.16",
            "threadpoolctl==3.2.0",
        ],
    },
    entry_points={
        "console_scripts": [
            f"simclr-{name.replace('_', '-')}"
            f" = simclr_keras.commands.{name}:main"
            for name in COMMANDS
        ]
    },
)
