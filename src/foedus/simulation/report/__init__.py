"""The report of a demo run: one HTML file that needs nothing else, not even a network."""

from foedus.simulation.report.content import DemoReport, Member
from foedus.simulation.report.page import render, write_report

__all__ = ["DemoReport", "Member", "render", "write_report"]
