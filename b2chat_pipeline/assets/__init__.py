"""The assets: thin shells. Window in, library call, result with metadata out."""
