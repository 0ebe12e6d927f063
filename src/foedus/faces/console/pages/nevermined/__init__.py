"""Where bought computation is on; it wants packages that a plain installation lacks."""
