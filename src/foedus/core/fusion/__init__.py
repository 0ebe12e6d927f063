"""Fusion projects: statistics that are merged of cells when somebody asks."""
