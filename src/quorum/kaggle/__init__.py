"""Kaggle: build kernels into one file each, push them and read them back; submit and upload."""
