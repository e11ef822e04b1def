"""Whether what was found may be so: expectations, a baseline, suppressions. Reports in, outcomes out."""
