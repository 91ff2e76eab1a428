"""Packages simclr_keras with its recipes and its console commands."""

import pathlib

import setuptools

HERE = pathlib.Path(__file__).parent
# Console command -> module of simclr_keras.commands.
COMMANDS = {
    "simclr-pretrain": "pretrain",
    "simclr-linear-eval": "linear_eval",
    "simclr-finetune": "finetune",
    "simclr-embed": "embed",
    "simclr-export": "export",
    "simclr-report": "report",
    "simclr-study": "study",
    "simclr-import-official": "import_official",
}

setuptools.setup(
    name="simclr_keras",
    version="0.1.0",
    description="SimCLR for Keras and TensorFlow: pretrain on unlabelled"
    " images, evaluate, fine-tune on few labels, export",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The authors of simclr_keras",
    license="Apache-2.0",
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Scientific/Engineering :: Image Recognition",
        "Typing :: Typed",
    ],
    packages=[
        *setuptools.find_packages(include=["simclr_keras*"]),
        "simclr_keras.recipes",  # `--recipe=NAME` reads them, see commands
    ],
    package_dir={"simclr_keras.recipes": "flags"},
    package_data={
        "simclr_keras": ["README.md", "py.typed"],
        "simclr_keras.recipes": ["README.md", "*/*.flags"],
        "simclr_keras.report": ["*.html"],
        "simclr_keras.serving": ["README.md"],
    },
    # The extra tf215 needs 3.9 to 3.11; no later one than 3.13 was tried.
    python_requires=">=3.9,<3.14",
    # The lower bounds are the versions that the tf215 lane is tested with; the
    # upper ones the first that were not tried: what is private of Keras and
    # TensorFlow (tests/test_private_names.py) may change in any of them.
    install_requires=[
        "absl-py>=1.4",
        "etils[epath]>=1.5",
        "h5py>=3.10",
        "importlib_resources>=6.1",  # tensorflow-datasets uses it undeclared
        "jinja2>=3.1.2",
        "keras>=2.15,<3.16",
        "matplotlib>=3.8.4",
        "numpy>=1.26",
        "pillow>=10.1",
        "scikit-learn>=1.3.2",
        "tensorboard>=2.15",
        "tensorflow>=2.15.1,<2.22",
        "tensorflow-datasets>=4.9.4",
        "threadpoolctl>=3.2",
    ],
    extras_require={
        # Threads share a reader, which was tried with this version.
        "arrayrecord": ["array_record>=0.8.6; python_version >= '3.11'"],
        # Without python-gdcm, which ends the process at some damaged files.
        "dicom": ["pydicom>=2.4.4"],
        "gpu": ["tensorflow[and-cuda]"],
        "keras-cv": ["keras-cv>=0.9"],
        "onnx": ["tf2onnx>=1.16"],
        "parquet": ["pyarrow>=14"],
        "search": ["faiss-cpu>=1.8", "umap-learn>=0.5.5"],
        "test": [
            "array_record>=0.8.6; python_version >= '3.11'",
            "faiss-cpu>=1.8",
            "ipykernel>=6.29",
            "keras-cv>=0.9",
            "nbclient>=0.10",
            "nbformat>=5.10",
            "onnxruntime>=1.19",
            "openvino>=2026.4; python_version >= '3.10'",
            "pyarrow>=14",
            "pydicom>=2.4.4",
            "pytest>=8",
            "pytest-xdist>=3.7",
            "ruff==0.17.6",
            "tf2onnx>=1.16",
            "tifffile>=2023.7",
        ],
        # imagecodecs decompresses LZW and the like for it.
        "tiff": ["imagecodecs>=2023.7", "tifffile>=2023.7"],
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
            f"{name} = simclr_keras.commands.{module}:main"
            for name, module in COMMANDS.items()
        ]
    },
)
