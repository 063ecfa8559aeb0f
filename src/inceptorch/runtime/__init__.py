"""Where the work is done: devices, and the processes that torchrun started."""
