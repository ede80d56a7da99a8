"""Lists a page at a time: by key and never by number, through a closed list of indexed filters.

A page costs the same at the end of a list as at its beginning, and with a million people as with a
thousand. Where no index answers a pair of filters the page stops after so much work, and says from
where to go on.
"""
