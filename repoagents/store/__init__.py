"""The door to the database and to the files of record."""
