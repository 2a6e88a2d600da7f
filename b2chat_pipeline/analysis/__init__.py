"""Scoring conversations with Claude: who is scored, what is sent, what an answer must be, what it costs.

No Dagster here. `anthropic` is imported inside functions only: a load does not pay for it.
"""
