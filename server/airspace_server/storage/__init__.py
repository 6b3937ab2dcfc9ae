"""The database: the engine and its guard, every table, keyset pages, and the migrations."""
