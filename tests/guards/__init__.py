"""The guards that make a book, a price or a record trustworthy, each with the tests that must notice when it is gone."""
