"""One module per migration, forward only: the way back is a backup.

A migration is not edited after its release and imports nothing of the package. A new enum value is one of its own.
"""
