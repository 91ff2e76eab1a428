"""SimCLR as one writes it with Keras, to compare with: nothing of ours."""
