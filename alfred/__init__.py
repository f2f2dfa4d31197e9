"""alfred: hyper-parameter searches as directories that any number of processes work through."""

__version__ = "1.0.0"
