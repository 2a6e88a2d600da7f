"""A month of the pipeline's life in minutes; `test_month.py` says what is real and what is accelerated."""
