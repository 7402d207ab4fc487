"""Training data: windows of crops around one person, from synthetic clips rendered on the fly or annotated videos."""
