"""Facts: collectors, when each is due, and what becomes of what they say.

Which facts there are stands in `schemas.py`. An expression names one as `retriever.fact`, so the
ids of retrievers and the names of facts are identifiers: lower case, digits and `_`.
"""
