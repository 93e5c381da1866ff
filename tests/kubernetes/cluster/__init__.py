"""A Kubernetes cluster on this machine, on the servers of a real OpenStack: see ../README.md."""
