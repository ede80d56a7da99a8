"""Mails to people: their words, and the SMTP server that takes them."""
