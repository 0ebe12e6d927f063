"""Clients written for other systems as participants here. Neither system is needed until its bridge is used."""
