"""Doctests, too, write into no real home; see tests/conftest.py for the rest."""

import os

os.environ["NBVISION_DATA"] = "off"
