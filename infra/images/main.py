"""What Cloud Functions loads: it looks for the targets in main.py at the archive's root."""

from functions.main import *  # noqa: F403
