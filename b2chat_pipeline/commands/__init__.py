"""What the `b2chat` command does, one module per command. The options and help texts are in `cli.py`."""
