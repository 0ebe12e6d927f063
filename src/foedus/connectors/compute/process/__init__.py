"""Programs as processes of this machine, each in a folder of its own and, where bubblewrap is, in a world of its own.

runner      the port: stages files, starts keepers, reads what they wrote down
keeper      one a run, a process that outlives the server: limits, log, end
family      all processes of a run, counted and ended by its keeper
sandbox     the command that the program is shut in with
inside      the first process in there: limits, and a door to the session
"""
