"""Node.js: its resolution, npm packages, and what an app reaches of them."""

from imgslim.runtimes.node.runtime import NodeRuntime

__all__ = ["NodeRuntime"]
