"""Decodes files of each image format, and reads their headers."""
