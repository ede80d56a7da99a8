"""The management store: schema, transactions, bulk staging, plan SQL, books."""
