"""The pages that people sign in and out with: plain HTML, no script, nothing begun by a GET.

``routes`` has the paths, ``entering``, ``sessions`` and ``logout_tokens`` what happens there,
``pages`` and ``session_pages`` what is shown.
"""
