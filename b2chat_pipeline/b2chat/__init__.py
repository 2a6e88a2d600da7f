"""The vendor's API: client, typed records, paging. No Dagster and no database driver in here."""
