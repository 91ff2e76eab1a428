"""Opens data sets of every kind: each as a `Source` of images and labels."""
