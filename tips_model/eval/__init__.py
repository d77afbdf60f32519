"""Evaluation of image and text encoders: names, retrieval, pointing, segmentation, k-NN, probes."""
