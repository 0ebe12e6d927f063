"""What each address does: one service call a view."""
