"""Alembic's directory: how migrations run (`env.py`), and the migrations. The tables' meaning is in `schema/`."""
