"""Phones that are not there: the FLaaS app as a program, one or a fleet of them in a process, training for real."""
