"""The main job on one machine: a real server, participants in processes of their own, one model."""

from foedus.simulation.demo.run import DemoOptions, Outcome, run_demo

__all__ = ["DemoOptions", "Outcome", "run_demo"]
