"""Loads a B2Chat customer-service account into PostgreSQL, hour by hour, with Dagster.

Nothing happens at import: no network, no database, no environment is read. Start reading at `definitions.py`.
"""
