"""The test suite, by behaviour: one file per thing the pipeline promises, not per module."""
