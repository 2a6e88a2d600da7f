"""What is done to the warehouse beside loading and measuring: so far, what a person configures.

Not here: settings of the processes (`settings.py`), how a command is called (`commands/`).
"""
