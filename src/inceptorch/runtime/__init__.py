"""Devices, and the processes that torchrun started."""
