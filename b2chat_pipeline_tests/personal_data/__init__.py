"""How much personal data the redaction finds: made-up data in the many ways people write it, and the share found.

The variants are drawn from how customers and agents write (`variants.py`), not from what the recognisers look for; the
ordinary texts (`ordinary.py`) are those that must stay readable. `python -m b2chat_pipeline_tests.personal_data` prints
both (`recall.py`)."""
