"""What exists: frozen values and their legal transitions."""
