"""The HTML report: one self-contained file with the funnel, the blind baselines and the pairs side by side."""

from contextrl_data.stages.report.command import report_command
from contextrl_data.stages.report.overview import Overview
from contextrl_data.stages.report.page import write_report

__all__ = ["Overview", "report_command", "write_report"]
