"""Training of TIPS and TIPSv2: data, objective, optimisation, checkpoints and the training loop."""
