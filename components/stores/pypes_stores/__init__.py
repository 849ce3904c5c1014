"""Stores of Pypes: publishers to tables, addresses, files and buckets, and sources that fetch from them."""
