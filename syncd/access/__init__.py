"""Who somebody is and what they may do here: tokens and passwords. Rules, and no SQL or HTTP."""
