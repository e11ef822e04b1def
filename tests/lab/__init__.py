"""Real failures between two network namespaces, captured together with the truth about them."""
