"""Foedus: one federated-learning service. Raw data stays where it is; updates and statistics travel."""
