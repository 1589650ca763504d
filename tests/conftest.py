"""Being here puts this folder on the import path of the tests, for `from fakes import ...`."""
