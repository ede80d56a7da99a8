"""The engine: collect, plan, guard, apply, finish. Knows no LDAP and no SQL."""
