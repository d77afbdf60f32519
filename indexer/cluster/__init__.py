"""Reading and embedding on the machines of a Ray cluster, with the functions of the local way."""
