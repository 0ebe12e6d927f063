"""Many participants of somebody's own app on one machine, through the services of the server and in virtual time."""
