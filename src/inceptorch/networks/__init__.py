"""Networks as tables and what is read off them; no torch is needed here."""
