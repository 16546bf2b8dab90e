"""What only a machine with a CUDA GPU can show: see `__main__`."""
