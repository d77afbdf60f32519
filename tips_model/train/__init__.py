"""Training of TIPS and TIPSv2: objective, data, optimisation, and the run."""
