"""Read and embed photos on the machines of a Ray cluster, with the functions of the local path."""
