"""`python -m b2chat_pipeline_tests.model_mutants`: would anybody notice if a SQL model were wrong? `make mutants`.

`mutations.py` makes mutants of a query, `proofs.py` holds them against the computations that the tests use,
`judging.py` counts, `nulls.py` knows which columns are never NULL, and `equivalent.py` lists the mutants that mean the
same. Not part of the suite, since it takes minutes.
"""
