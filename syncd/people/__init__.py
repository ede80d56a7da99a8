"""The rules of administration: who may change what of people, roles, groups and address books."""
