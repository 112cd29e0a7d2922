"""Says what `up` would do, on each node and in words; asks Pulumi, touches nothing."""

from operations.preview.blind import look_without_secrets
from operations.preview.markdown import markdown
from operations.preview.report import Report
from operations.preview.requested import look_requested
from operations.preview.run import look, look_with
from operations.preview.text import text

__all__ = ["Report", "look", "look_requested", "look_with", "look_without_secrets", "markdown", "text"]
