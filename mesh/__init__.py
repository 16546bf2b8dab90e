"""mesh: a private, shared LLM service on NATS JetStream. Pull any plug, and no answer is lost."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("inference-mesh")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
