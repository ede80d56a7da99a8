"""Everything that speaks LDAP: connection, listings, decoding, names and filters."""
