"""The review round trip: what to look at first, out to a person's tool, and back."""

from kerbstone.label.review.edits import Action, Edit, apply_edits
from kerbstone.label.review.exchange import (
    REVIEW_FORMATS,
    ReviewReport,
    export_review,
    import_review,
)
from kerbstone.label.review.queue import ReviewItem, default_importance, review_queue

__all__ = [
    "REVIEW_FORMATS",
    "Action",
    "Edit",
    "ReviewItem",
    "ReviewReport",
    "apply_edits",
    "default_importance",
    "export_review",
    "import_review",
    "review_queue",
]
