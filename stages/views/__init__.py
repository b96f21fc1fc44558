"""Views of an exported dataset: the same pairs in the layouts that trainers read. One module a view."""

from contextrl_data.stages.views.command import check_views, export_view, write_views

__all__ = ["check_views", "export_view", "write_views"]
