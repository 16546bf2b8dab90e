"""GPU or CPU workers: pull a request, claim it, append its tokens to the log."""
