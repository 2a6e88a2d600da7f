"""What the tables must be, in a form of its own: the data dictionary's facts, and our documented departures from it.

`data_dictionary.yaml` holds both; `expected.py` puts them together, `document.py` reads the original document and
`compare.py` holds the first part against it. The models of the package are not used here.
"""
