"""Views of an exported dataset: the same pairs in the layouts that trainers read. One module a view."""

from contextrl_data.stages.views.command import export_view, is_text_only
from contextrl_data.stages.views.write import write_view

__all__ = ["export_view", "is_text_only", "write_view"]
