"""Folders of images with masks: found, checked, read; every pixel of a mask is the number of a class."""
