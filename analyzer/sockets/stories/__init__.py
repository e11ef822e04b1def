"""What may happen to a flow, one module a subject: each takes what the flow shows and tells events."""
